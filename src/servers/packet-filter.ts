/**
 * Whether a packet filter lets a new packet in: its rules, read from
 * `nft -j list ruleset` or `iptables-save`, and walked as the kernel walks them.
 *
 * Matches that are not known here count as not met in rules that let in, and in
 * rules that shut: so what is called shut is shut by a policy or by a plain rule.
 * IPv4 only, because the nodes' servers speak nothing else.
 *
 * Sources: libnftables-json(5), iptables-save(8), nft(8).
 */
import { contains, parseCidr, parseIpv4 } from '../cluster/ipv4.ts'

export interface Packet {
  protocol: 'tcp' | 'udp'
  port: number
  interface: string
  source: string
  /** What its destination is to this machine. */
  to: 'local' | 'broadcast'
}

type Verdict = 'accept' | 'drop' | 'return' | { to: string; back: boolean }

interface Rule {
  /** All of them hold: undefined: nobody here knows. */
  meets: (packet: Packet) => boolean | undefined
  /** undefined: it only counts, logs or marks. */
  verdict?: Verdict | ((packet: Packet) => Verdict | undefined)
}

export interface FilterTable {
  /** As nft names it: `inet filter`, `ip filter`. */
  family: string
  name: string
  /** Whether iptables keeps it, which reads no rules of others in it. */
  isIptables: boolean
  chains: Map<string, Rule[]>
  /** Chains at the hook where packets for this machine come in. */
  inputs: { chain: string; policy: 'accept' | 'drop' }[]
}

/** One chain that packets for this machine pass. */
export interface InputChain {
  table: FilterTable
  chain: string
  policy: 'accept' | 'drop'
}

/** Chains that can shut something out: by their policy, or by a rule. */
export function shuttingChains(tables: readonly FilterTable[]): InputChain[] {
  return tables.flatMap((table) =>
    table.inputs
      .filter(({ chain, policy }) => policy === 'drop' || canDrop(table, chain, new Set()))
      .map(({ chain, policy }) => ({ table, chain, policy })),
  )
}

function canDrop({ chains }: FilterTable, first: string, seen: Set<string>): boolean {
  const waiting = [first]
  for (let chain = waiting.pop(); chain !== undefined; chain = waiting.pop()) {
    if (seen.has(chain)) continue
    seen.add(chain)
    for (const { verdict } of chains.get(chain) ?? []) {
      if (verdict === 'drop' || typeof verdict === 'function') return true
      if (typeof verdict === 'object') waiting.push(verdict.to)
    }
  }
  return false
}

/** Whether every chain lets it in. */
export const letsIn = (inputs: readonly InputChain[], packet: Packet): boolean =>
  inputs.every(({ table, chain, policy }) => (walk(table, chain, packet, 0) ?? policy) === 'accept')

/** What nft allows; a ring of jumps is not loaded by the kernel. */
const DEEPEST = 16

/** @returns undefined at the end of the chain, or at `return` */
function walk(
  table: FilterTable,
  chain: string,
  packet: Packet,
  depth: number,
): 'accept' | 'drop' | undefined {
  if (depth > DEEPEST) return undefined
  for (const { meets, verdict } of table.chains.get(chain) ?? []) {
    if (meets(packet) !== true) continue
    const said = typeof verdict === 'function' ? verdict(packet) : verdict
    if (said === undefined) continue
    if (said === 'return') return undefined
    if (said === 'accept' || said === 'drop') return said
    const found = walk(table, said.to, packet, depth + 1)
    if (found !== undefined || !said.back) return found
  }
  return undefined
}

/* nftables */

type Json = Record<string, unknown>
const isJson = (value: unknown): value is Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/**
 * `nft -j list ruleset`: tables with a chain at the input hook.
 * @throws {SyntaxError} it is not JSON
 */
export function parseNftRuleset(text: string): FilterTable[] {
  const { nftables = [] } = JSON.parse(text) as { nftables?: Json[] }
  const tables = new Map<string, FilterTable>()
  const sets = new Map<string, unknown>()
  const tableOf = ({ family, table }: Json): FilterTable => {
    const key = `${family} ${table}`
    const known = tables.get(key)
    if (known !== undefined) return known
    const made = { family: `${family}`, name: `${table}`, isIptables: false, chains: new Map(), inputs: [] }
    tables.set(key, made)
    return made
  }
  for (const { set, map } of nftables)
    for (const one of [set, map])
      if (isJson(one)) sets.set(`${one.family} ${one.table} ${one.name}`, one.elem ?? [])
  for (const { chain, rule } of nftables) {
    if (isJson(chain)) {
      const table = tableOf(chain)
      table.chains.set(`${chain.name}`, table.chains.get(`${chain.name}`) ?? [])
      if (chain.hook === 'input' && chain.type === 'filter')
        table.inputs.push({ chain: `${chain.name}`, policy: chain.policy === 'drop' ? 'drop' : 'accept' })
    }
    if (isJson(rule)) {
      const table = tableOf(rule)
      const rules = table.chains.get(`${rule.chain}`) ?? []
      table.chains.set(`${rule.chain}`, rules)
      const named = (name: string) => sets.get(`${rule.family} ${rule.table} ${name}`)
      rules.push(readNftRule(Array.isArray(rule.expr) ? rule.expr.filter(isJson) : [], named))
    }
  }
  return [...tables.values()].filter(
    ({ family, inputs }) => ['inet', 'ip'].includes(family) && inputs.length > 0,
  )
}

type Named = (set: string) => unknown

function readNftRule(expressions: readonly Json[], named: Named): Rule {
  const tests: Rule['meets'][] = []
  let verdict: Rule['verdict']
  for (const expression of expressions) {
    const [kind = '', value] = Object.entries(expression)[0] ?? []
    if (kind === 'match' && isJson(value)) tests.push((packet) => matchNft(value, packet, named))
    else if (kind === 'accept' || kind === 'drop' || kind === 'return') verdict = kind
    else if (kind === 'reject') verdict = 'drop'
    else if ((kind === 'jump' || kind === 'goto') && isJson(value))
      verdict = { to: `${value.target}`, back: kind === 'jump' }
    else if (kind === 'vmap' && isJson(value)) verdict = (packet) => lookUp(value, packet, named)
    else if (!HARMLESS.includes(kind)) tests.push(() => undefined)
  }
  return { meets: all(tests), verdict }
}

const HARMLESS = ['counter', 'log', 'comment', 'mangle', 'notrack']

const all =
  (tests: readonly Rule['meets'][]): Rule['meets'] =>
  (packet) => {
    let known = true
    for (const test of tests) {
      const met = test(packet)
      if (met === false) return false
      if (met === undefined) known = false
    }
    return known ? true : undefined
  }

function lookUp({ key, data }: Json, packet: Packet, named: Named): Verdict | undefined {
  const value = fieldOf(key, packet)
  const elements = typeof data === 'string' ? named(data.slice(1)) : isJson(data) ? data.set : undefined
  if (value === undefined || !Array.isArray(elements)) return undefined
  for (const element of elements) {
    if (!Array.isArray(element) || holds(value, element[0], named) !== true) continue
    return readNftRule([element[1]].filter(isJson), named).verdict as Verdict | undefined
  }
  return undefined
}

function matchNft({ op, left, right }: Json, packet: Packet, named: Named): boolean | undefined {
  const value = fieldOf(left, packet)
  if (value === undefined) return undefined
  // Asked of another protocol's ports.
  if (value === null) return false
  const held = holds(value, right, named)
  return op === '!=' && held !== undefined ? !held : held
}

/** @returns undefined: not known; null: the packet has no such field */
function fieldOf(left: unknown, packet: Packet): string | number | null | undefined {
  if (!isJson(left)) return undefined
  const { meta, payload, ct, fib } = left
  if (isJson(fib)) return fib.result === 'type' && `${fib.flags}` === 'daddr' ? packet.to : undefined
  if (isJson(meta))
    return { iifname: packet.interface, iif: packet.interface, l4proto: packet.protocol, nfproto: 'ipv4' }[
      `${meta.key}`
    ]
  if (isJson(ct)) return ct.key === 'state' ? 'new' : undefined
  if (!isJson(payload)) return undefined
  const { protocol, field } = payload
  if (protocol === 'ip') return { saddr: packet.source, protocol: packet.protocol }[`${field}`]
  if (protocol === 'tcp' || protocol === 'udp') {
    if (protocol !== packet.protocol) return null
    return field === 'dport' ? packet.port : undefined
  }
  if (protocol === 'th') return field === 'dport' ? packet.port : undefined
  return protocol === 'ip6' ? null : undefined
}

function holds(value: string | number | null, right: unknown, named: Named): boolean | undefined {
  if (value === null) return false
  if (typeof right === 'string' && right.startsWith('@')) return holds(value, named(right.slice(1)), named)
  if (typeof right === 'string' && right.endsWith('*')) return `${value}`.startsWith(right.slice(0, -1))
  if (typeof right === 'string' || typeof right === 'number') return `${value}` === `${right}`
  const several = Array.isArray(right)
    ? right
    : isJson(right) && Array.isArray(right.set)
      ? right.set
      : undefined
  if (several !== undefined) {
    const found = several.map((one) => holds(value, one, named))
    return found.includes(true) ? true : found.includes(undefined) ? undefined : false
  }
  if (!isJson(right)) return undefined
  const { range, prefix, elem } = right
  if (isJson(elem)) return holds(value, elem.val, named)
  if (Array.isArray(range)) {
    const [first, last] = range.map(asNumber)
    const at = asNumber(value)
    if (first === undefined || last === undefined || at === undefined) return undefined
    return first <= at && at <= last
  }
  if (isJson(prefix)) return isInside(`${value}`, `${prefix.addr}/${prefix.len}`)
  return undefined
}

const asNumber = (value: unknown): number | undefined =>
  typeof value === 'number' ? value : typeof value === 'string' ? parseIpv4(value) : undefined

function isInside(ip: string, cidr: string): boolean | undefined {
  const network = parseCidr(cidr.includes('/') ? cidr : `${cidr}/32`)
  const address = parseIpv4(ip)
  return network === undefined || address === undefined ? undefined : contains(network, address)
}

/* iptables */

/** `iptables-save`, its table filter; undefined: it has none. */
export function parseIptablesSave(text: string): FilterTable | undefined {
  const table: FilterTable = {
    family: 'ip',
    name: 'filter',
    isIptables: true,
    chains: new Map(),
    inputs: [],
  }
  let isFilter = false
  for (const line of text.split('\n')) {
    if (line.startsWith('*')) isFilter = line === '*filter'
    if (!isFilter) continue
    const [, name = '', policy] = /^:(\S+) (\S+)/.exec(line) ?? []
    if (name !== '') table.chains.set(name, [])
    if (name === 'INPUT') table.inputs.push({ chain: name, policy: policy === 'DROP' ? 'drop' : 'accept' })
    const words = splitWords(line)
    if (words[0] === '-A')
      table.chains.get(words[1] ?? '')?.push(readIptablesRule(words.slice(2), table.chains))
  }
  return table.inputs.length === 0 ? undefined : table
}

const splitWords = (line: string): string[] =>
  [...line.matchAll(/"((?:[^"\\]|\\.)*)"|(\S+)/g)].map(([, quoted, plain]) => quoted ?? plain ?? '')

function readIptablesRule(words: readonly string[], chains: ReadonlyMap<string, unknown>): Rule {
  const tests: Rule['meets'][] = []
  let verdict: Rule['verdict']
  for (let at = 0; at < words.length; at++) {
    const isNot = words[at] === '!'
    if (isNot) at++
    const option = words[at] ?? ''
    const value = words[at + 1] ?? ''
    if (
      option === '-m' ||
      option === '--comment' ||
      option === '--reject-with' ||
      option.startsWith('--log-')
    )
      at++
    else if (option === '-j' || option === '-g') {
      at++
      verdict = chains.has(value) ? { to: value, back: option === '-j' } : TARGETS[value]
      // Whatever follows belongs to the target.
      break
    } else {
      const test = IPTABLES_TESTS[option]
      if (test !== undefined) at++
      tests.push((packet) => {
        const met = test?.(value, packet)
        return isNot && met !== undefined ? !met : met
      })
    }
  }
  return { meets: all(tests), verdict }
}

const TARGETS: Record<string, Verdict> = { ACCEPT: 'accept', DROP: 'drop', REJECT: 'drop', RETURN: 'return' }

const inPorts = (list: string, { port }: Packet): boolean =>
  list.split(',').some((part) => {
    const [first = '', last = first] = part.split(':')
    return Number(first) <= port && port <= Number(last)
  })

const IPTABLES_TESTS: Record<string, (value: string, packet: Packet) => boolean | undefined> = {
  '-i': (value, packet) =>
    value.endsWith('+') ? packet.interface.startsWith(value.slice(0, -1)) : packet.interface === value,
  '-s': (value, packet) => isInside(packet.source, value),
  '-p': (value, packet) => value === 'all' || value === packet.protocol,
  '--dport': inPorts,
  '--dports': inPorts,
  '--ctstate': (value) => value.split(',').includes('NEW'),
  '--dst-type': (value, packet) => value.toLowerCase().split(',').includes(packet.to),
  '--state': (value) => value.split(',').includes('NEW'),
}
