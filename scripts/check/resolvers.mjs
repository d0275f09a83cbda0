// Promises whose resolvers are handed out by hand: `new Promise((resolve) => { outer = resolve; })`. Promise.withResolvers says the same in a word.
import { readFileSync } from 'node:fs';
import { relative } from 'node:path';
import ts from 'typescript';
import { filesBelow, root } from '../lib.mjs';

const AREAS = ['base', 'vmm', 'image', 'stage1', 'bench', 'scripts', 'test'];
/** What needs less than the program: Node 20 has to get `npm start` and `npm test` as far as a newer Node. */
const ANY_NODE = /^scripts\/(lib|setup|start|test)\.mjs$/;

/** Whether `node` is one of the executor's parameters, or an object or call argument that hands one on as it is. */
function handsOut(node, names) {
  if (ts.isIdentifier(node)) return names.has(node.text);
  if (ts.isObjectLiteralExpression(node)) return node.properties.some((property) => (ts.isShorthandPropertyAssignment(property) ? names.has(property.name.text) : ts.isPropertyAssignment(property) && handsOut(property.initializer, names)));
  return false;
}

/** A statement (or an arrow's expression) of the executor that stores a resolver outside of it. */
function stores(node, names) {
  const expression = ts.isExpressionStatement(node) ? node.expression : node;
  if (ts.isBinaryExpression(expression)) return /^(\?\?)?=$/.test(expression.operatorToken.getText()) && handsOut(expression.right, names);
  const method = ts.isCallExpression(expression) && ts.isPropertyAccessExpression(expression.expression) ? expression.expression.name.text : '';
  return method === 'set' && expression.arguments.some((argument) => handsOut(argument, names));
}

/** Lines, from 0, at which such a promise begins. */
export function handMade(source) {
  const lines = [];
  const visit = (node) => {
    const executor = ts.isNewExpression(node) && node.expression.getText() === 'Promise' ? node.arguments?.[0] : undefined;
    if (executor !== undefined && ts.isFunctionLike(executor)) {
      const names = new Set(executor.parameters.map(({ name }) => name.getText()));
      const statements = ts.isBlock(executor.body) ? executor.body.statements : [executor.body];
      if (statements.some((statement) => stores(statement, names))) lines.push(source.getLineAndCharacterOfPosition(node.getStart()).line);
    }
    ts.forEachChild(node, visit);
  };
  visit(source);
  return lines;
}

export function resolvers(report) {
  for (const area of AREAS) {
    for (const path of filesBelow(area, (name) => /\.(ts|mjs)$/.test(name))) {
      const file = relative(root, path);
      if (ANY_NODE.test(file)) continue;
      const source = ts.createSourceFile(file, readFileSync(path, 'utf8'), ts.ScriptTarget.Latest, true);
      for (const line of handMade(source)) report(`${file}:${line + 1}: a promise whose resolvers are taken out by hand: Promise.withResolvers`);
    }
  }
}
