// Exports, methods and fields that nothing uses, by the compiler's own symbols. What a library's user gets (vmm/api) is used by
// definition; what only tests use says so in its comment (the word "tests"). The core's half is unused-core.mjs.
import { readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import ts from 'typescript';
import { filesBelow, root } from '../lib.mjs';

const PRODUCT = ['vmm', 'image', 'stage1', 'oci', 'assembly/contract'];
const API = 'vmm/api/index.ts';
/** Numbers of headers, of which tests may use more than the product. */
const NUMBERS = /\/(uapi|generated)\//;
/** The agent protocol is there as a whole, for other ends too. */
const PROTOCOL = 'vmm/agent/generated/protocol.ts';

const isProduct = (file) => file !== PROTOCOL && PRODUCT.some((area) => file.startsWith(`${area}/`));

function program() {
  const { config } = ts.readConfigFile(join(root, 'tsconfig.json'), ts.sys.readFile);
  const { fileNames, options } = ts.parseJsonConfigFileContent(config, ts.sys, root);
  return ts.createProgram(fileNames, { ...options, noEmit: true });
}

/** What may be unused in a file: exported declarations, members of classes and interfaces, fields of constant objects. */
function candidates(source) {
  const found = [];
  const add = (node, what) => {
    if (node.name !== undefined && (ts.isIdentifier(node.name) || ts.isStringLiteral(node.name))) found.push({ node, name: node.name.text, what });
  };
  const members = (node) => {
    const owner = node.name?.text ?? 'default';
    for (const member of node.members) {
      if (ts.isConstructorDeclaration(member) || ts.isIndexSignatureDeclaration(member)) continue;
      add(member, `${owner}.${member.name?.getText() ?? ''}`);
    }
  };
  for (const node of source.statements) {
    const exported = ts.canHaveModifiers(node) && ts.getModifiers(node)?.some(({ kind }) => kind === ts.SyntaxKind.ExportKeyword) === true;
    if (ts.isVariableStatement(node)) {
      for (const declaration of node.declarationList.declarations) {
        if (!ts.isIdentifier(declaration.name)) continue;
        if (exported) found.push({ node: declaration, name: declaration.name.text, what: declaration.name.text, exported });
        let value = declaration.initializer;
        while (value !== undefined && (ts.isAsExpression(value) || ts.isSatisfiesExpression(value))) value = value.expression;
        if (exported && value !== undefined && ts.isObjectLiteralExpression(value)) {
          for (const field of value.properties) if (ts.isPropertyAssignment(field)) add(field, `${declaration.name.text}.${field.name.getText()}`);
        }
      }
    } else if (exported && node.name !== undefined) found.push({ node, name: node.name.text, what: node.name.text, exported });
    if (ts.isClassDeclaration(node) || ts.isInterfaceDeclaration(node)) members(node);
  }
  return found;
}

/**
 * `users`: declaration → the files that refer to it, itself excepted; `byName`: the same by a member's name alone. Only names of
 * `wanted` are looked at: to ask for each identifier takes long.
 */
function references(checker, sources, wanted) {
  const users = new Map();
  const byName = new Map();
  const resolved = (symbol) => (symbol !== undefined && symbol.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol);
  const note = (symbol, at) => {
    for (const declaration of resolved(symbol)?.declarations ?? []) users.set(declaration, (users.get(declaration) ?? new Set()).add(at));
  };
  for (const source of sources) {
    const file = relative(root, source.fileName);
    const named = (name) => byName.set(name, (byName.get(name) ?? new Set()).add(file));
    const property = (node, name) => {
      note(checker.getTypeAtLocation(node).getProperty(name), file);
      named(name);
    };
    const visit = (node) => {
      // A name that is imported or exported again is judged where it is used.
      if (ts.isImportDeclaration(node) || ts.isExportDeclaration(node)) return;
      if (ts.isIdentifier(node) && wanted.has(node.text)) {
        const { parent } = node;
        if (ts.isPropertyAccessExpression(parent) && parent.name === node) named(node.text);
        if (parent.name !== node || ts.isPropertyAccessExpression(parent)) {
          const symbol = checker.getSymbolAtLocation(node);
          note(symbol, file);
          if (isWhole(node)) for (const field of fieldsOf(resolved(symbol))) users.set(field, (users.get(field) ?? new Set()).add(file));
        }
        if (ts.isShorthandPropertyAssignment(parent)) note(checker.getShorthandAssignmentValueSymbol(parent), file);
        if (ts.isBindingElement(parent) && ts.isObjectBindingPattern(parent.parent) && (parent.propertyName ?? parent.name) === node) property(parent.parent, node.text);
      } else if (ts.isElementAccessExpression(node) && ts.isStringLiteralLike(node.argumentExpression)) property(node.expression, node.argumentExpression.text);
      ts.forEachChild(node, visit);
    };
    visit(source);
  }
  return { users, byName };
}

/** The type of something exported is exported beside it: who uses the one may need the other's name. */
const isType = (node) => ts.isInterfaceDeclaration(node) || ts.isTypeAliasDeclaration(node);

/** An object that is used as a whole, or by a name that is computed: all its fields are. */
function isWhole({ parent }) {
  if (ts.isPropertyAccessExpression(parent)) return false;
  return !(ts.isElementAccessExpression(parent) && ts.isStringLiteralLike(parent.argumentExpression));
}

function fieldsOf(symbol) {
  const declaration = symbol?.valueDeclaration;
  let value = declaration !== undefined && ts.isVariableDeclaration(declaration) ? declaration.initializer : undefined;
  while (value !== undefined && (ts.isAsExpression(value) || ts.isSatisfiesExpression(value))) value = value.expression;
  return value !== undefined && ts.isObjectLiteralExpression(value) ? value.properties.filter(ts.isPropertyAssignment) : [];
}

/** Declarations that the public face names, and all that their signatures name in turn. */
function apiDeclarations(checker, api) {
  const reached = new Set();
  const signature = (node) => {
    // What a user cannot reach: bodies, private members, what a member starts with.
    if (ts.isBlock(node) || (ts.isClassElement(node) && node.name !== undefined && ts.isPrivateIdentifier(node.name))) return;
    if (node.parent !== undefined && ts.isPropertyDeclaration(node.parent) && node.parent.initializer === node) {
      const type = checker.getTypeAtLocation(node).getSymbol();
      if (type !== undefined) reach(type);
      return;
    }
    if (ts.isIdentifier(node)) {
      const symbol = checker.getSymbolAtLocation(node);
      if (symbol !== undefined) reach(symbol);
    }
    ts.forEachChild(node, signature);
  };
  const reach = (symbol) => {
    const target = symbol.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol;
    for (const declaration of target.declarations ?? []) {
      if (reached.has(declaration) || declaration.getSourceFile().fileName.includes('node_modules')) continue;
      reached.add(declaration);
      if (ts.isVariableDeclaration(declaration) ? declaration.type !== undefined : true) signature(ts.isVariableDeclaration(declaration) ? declaration.type : declaration);
    }
  };
  for (const symbol of checker.getExportsOfModule(checker.getSymbolAtLocation(api))) reach(symbol);
  return reached;
}

/** Members of other types that a class's member stands for. */
function inherited(checker, { node }) {
  const owner = node.parent;
  if (!ts.isClassDeclaration(owner) && !ts.isInterfaceDeclaration(owner)) return [];
  const types = (owner.heritageClauses ?? []).flatMap((clause) => clause.types.map((type) => checker.getTypeAtLocation(type)));
  return types.flatMap((type) => type.getProperty(node.name.text)?.declarations ?? []);
}

const commentOf = (node, source) => {
  const at = ts.isVariableDeclaration(node) ? node.parent.parent : node;
  return (ts.getLeadingCommentRanges(source.text, at.getFullStart()) ?? []).map(({ pos, end }) => source.text.slice(pos, end)).join('\n');
};

/** Words of users that this compiler does not read: scripts, and for the numbers that it shares the core. */
function wordsOf(paths) {
  const words = new Set();
  for (const path of paths) for (const [word] of readFileSync(path, 'utf8').matchAll(/\w+/g)) words.add(word);
  return words;
}

export function unused(report) {
  const built = program();
  const checker = built.getTypeChecker();
  const sources = built.getSourceFiles().filter(({ fileName }) => fileName.startsWith(root) && !fileName.includes('node_modules'));
  const listed = sources.filter(({ fileName }) => isProduct(relative(root, fileName))).map((source) => ({ source, found: candidates(source) }));
  const { users, byName } = references(checker, sources, new Set(listed.flatMap(({ found }) => found.map(({ name }) => name))));
  const api = apiDeclarations(checker, sources.find(({ fileName }) => relative(root, fileName) === API));
  const scripts = wordsOf(['scripts', 'bench', 'bin'].flatMap((area) => filesBelow(area, (name) => /\.(mjs|js)$/.test(name) && name !== 'uapi-tables.mjs')).filter((path) => !relative(root, path).startsWith('scripts/check/')));
  const core = wordsOf(filesBelow('assembly', (name) => name.endsWith('.ts')).filter((path) => !isProduct(relative(root, path))));
  for (const { source, found } of listed) {
    const file = relative(root, source.fileName);
    for (const candidate of found) {
      const { node, name, what, exported = false } = candidate;
      if (api.has(node) || api.has(node.parent) || scripts.has(name) || (file.startsWith('assembly/') && core.has(name))) continue;
      const above = inherited(checker, candidate);
      // A member that a foreign interface asks for has its users there.
      if (above.some((declaration) => declaration.getSourceFile().fileName.includes('node_modules'))) continue;
      // What an interface describes may be read by way of another one that has the same member.
      const alike = ts.isInterfaceDeclaration(node.parent) ? [...(byName.get(name) ?? [])] : [];
      const used = [...new Set([...[node, ...above].flatMap((declaration) => [...(users.get(declaration) ?? [])]), ...alike])];
      const at = `${file}:${source.getLineAndCharacterOfPosition(node.getStart()).line + 1}: ${what}`;
      if (used.length === 0) report(`${at} is used by nothing`);
      else if (exported && !isType(node) && used.every((user) => user === file)) report(`${at} is exported, and used in its own file only`);
      else if (used.every((user) => user.startsWith('test/')) && !NUMBERS.test(file) && !/\btests?\b/i.test(commentOf(node, source))) report(`${at} is used by tests only, and its comment does not say so`);
    }
  }
}
