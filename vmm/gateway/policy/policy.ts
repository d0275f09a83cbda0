/** May the guest go there? (docs/networks.md, "Policy".) */
import { hideRecord, parseAnswers, type Question } from '../dns/message.ts';
import type { NamePolicy } from '../dns/forwarder.ts';
import { inPrefix } from '../link/address.ts';
import { Pins } from './pins.ts';
import { behind, names, type Reserved, reservedAs } from './reserved.ts';
import { nameMatches, portMatches } from './rules.ts';
import type { PolicyConfig, Protocol, Rule } from './config.ts';

export interface Verdict {
  readonly allowed: boolean;
  /** The rule, or what else decided. */
  readonly why: string;
  /** The host's own address, and named by a rule. */
  readonly named: boolean;
  /** The rule of names that allowed it: TLS has to name one of them where that is asked for. */
  readonly byName?: Rule | undefined;
}

/** What is asked of the world. */
export interface PolicyWorld {
  now(): number;
  /** One of the host's own addresses. */
  own(address: Uint8Array): boolean;
}

export class Policy implements NamePolicy {
  readonly config: PolicyConfig;
  readonly #world: PolicyWorld;
  readonly #pins = new Pins();
  readonly #domains: readonly Rule[];

  constructor(config: PolicyConfig, world: PolicyWorld) {
    this.config = config;
    this.#world = world;
    this.#domains = config.rules.filter(({ target }) => target.kind === 'domain');
  }

  /** There are rules of names: who may ask elsewhere would get around them. */
  get byNames(): boolean {
    return this.#domains.length > 0;
  }

  connect(protocol: Protocol, address: Uint8Array, port: number): Verdict {
    const verdict = this.#judge(protocol, address, port);
    // What a translator makes of it must be allowed as well.
    const inner = behind(address);
    if (!verdict.allowed || inner === undefined) return verdict;
    const second = this.#judge(protocol, inner, port);
    return second.allowed ? { ...verdict, named: verdict.named || second.named, byName: verdict.byName ?? second.byName } : second;
  }

  #judge(protocol: Protocol, address: Uint8Array, port: number): Verdict {
    const reserved = reservedAs(address, (one) => this.#world.own(one));
    const known = this.byNames ? this.#pins.names(address, this.#world.now()) : [];
    for (const rule of this.config.rules) {
      if (!portMatches(rule, protocol, port) || !targetMatches(rule, address, known)) continue;
      if (rule.action === 'deny') return { allowed: false, why: `deny ${rule.text}`, named: false };
      if (!namesAll(rule, reserved)) continue;
      // What a datagram is for cannot be seen.
      if (rule.target.kind === 'domain' && this.config.strictSni && protocol === 'udp') continue;
      return { allowed: true, why: `allow ${rule.text}`, named: reserved.length > 0, byName: rule.target.kind === 'domain' ? rule : undefined };
    }
    const [first] = reserved;
    if (first !== undefined) return { allowed: false, why: first.name, named: false };
    return { allowed: this.config.egress === 'allow', why: `egress ${this.config.egress}`, named: false };
  }

  asks(name: string): boolean {
    for (const { action, target, ports, protocol } of this.config.rules) {
      if (target.kind === 'prefix' || (target.kind === 'domain' && !nameMatches(name, target))) continue;
      if (action === 'allow') return true;
      // What is denied some ports may be wanted for others.
      if (ports === undefined && protocol === undefined) return false;
    }
    return this.config.egress === 'allow';
  }

  answered(bytes: Uint8Array, question: Question): boolean {
    const records = parseAnswers(bytes, question);
    if (records === undefined) return false;
    const seen = records.filter((record) => {
      if (record.address === undefined || !this.#hidden(record.address)) return true;
      hideRecord(bytes, record);
      return false;
    });
    if (this.byNames) this.#pins.add(question, seen, this.#world.now());
    return true;
  }

  /** An address that no name may lead to: reserved, and named by no rule. */
  #hidden(address: Uint8Array): boolean {
    const inner = behind(address);
    return [address, ...(inner === undefined ? [] : [inner])].some((one) => {
      const reserved = reservedAs(one, (own) => this.#world.own(own));
      return reserved.length > 0 && !this.config.rules.some((rule) => rule.action === 'allow' && targetMatches(rule, one, []) && namesAll(rule, reserved));
    });
  }
}

function targetMatches({ target }: Rule, address: Uint8Array, known: readonly string[]): boolean {
  if (target.kind === 'any') return true;
  if (target.kind === 'prefix') return inPrefix(address, target.prefix.network, target.prefix.bits);
  return known.some((name) => nameMatches(name, target));
}

/** Nothing reserved is let in by a rule that does not name it. */
function namesAll({ target }: Rule, reserved: readonly Reserved[]): boolean {
  return reserved.every((one) => target.kind === 'prefix' && names(target.prefix, one));
}
