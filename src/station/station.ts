/** `station`: one process that follows the readers and the cluster file, and the page for it. */
import { spawn } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { hostname, networkInterfaces } from 'node:os'
import { join, resolve } from 'node:path'
import { UsageError } from '../errors.ts'
import { Secret } from '../secret.ts'
import { makeCertificateAuthority } from '../secrets/certificate-authority.ts'
import { CLUSTER_KEY_FILE, readClusterKey } from '../secrets/cluster-key.ts'
import { derive } from '../secrets/derive.ts'
import { p256SeedBytes } from '../secrets/p256.ts'
import { JOURNAL_FILE } from '../work/batch-journal.ts'
import type { Caller } from '../work/caller.ts'
import { lockFileOrRefuse } from '../work/file-lock.ts'
import { type InitForm, initFromForm, initQuestions } from '../work/init-form.ts'
import { plan } from '../work/plan.ts'
import { type ClusterRequest, clusterFolder } from '../work/request.ts'
import { Doors } from './doors.ts'
import { readPage } from './files.ts'
import { Hub } from './hub.ts'
import { listen, type Routes } from './server.ts'
import { CardTable, type TableOptions } from './table.ts'

export interface StationRequest extends ClusterRequest, TableOptions {
  /** `HOST:PORT`. Default: `127.0.0.1:0`, any free port of this machine for itself. */
  listen?: string
  /** A file with the password, without which nobody but this machine is listened to. */
  passwordFile?: string
  /** Also show the page in this machine's browser. */
  open?: boolean
}

/** Told once, and again whenever the address was used. */
export interface StationEvent {
  event: 'station'
  /** Opens the page, once. */
  address: string
  /** sha256 of the certificate that browsers will ask about; null: none is needed. */
  fingerprint: string | null
}

/** Any port, for this machine alone. */
export const LOCAL = '127.0.0.1:0'

/** Pages are told of changes this often at most. */
const TELL_MS = 100

/**
 * Runs until the caller's signal comes; then cards are left safe.
 * @throws {UsageError} the address, the password or the cluster can't be had; another piimage writes its cards
 */
export async function station(
  request: StationRequest,
  caller: Caller,
  onStation: (event: StationEvent) => void,
): Promise<void> {
  const where = parseAddress(request.listen ?? LOCAL)
  const password = await readPassword(request, caller)
  const isLocal = where.host === '127.0.0.1' || where.host === '::1'
  if (!isLocal && password === undefined)
    throw new UsageError(`${where.host} can be reached by others, and there is no password`, {
      hint: 'Write one into a file and name it: --password-file FILE; or listen on 127.0.0.1 and come in over ssh -L.',
    })
  const files = readPage()
  const folder = clusterFolder(request, caller)
  const journal = join(folder, JOURNAL_FILE)
  const lock = await lockFileOrRefuse(journal, 'has a station or a batch for this cluster', caller.signal)
  try {
    const tls = isLocal ? undefined : await makeCertificate(folder)
    const server = await listen(where, tls)
    try {
      const origins = originsOf(where.host, server.port, tls !== undefined)
      const doors = new Doors({
        origins: new Set(origins),
        port: server.port,
        isSecure: tls !== undefined,
        password,
      })
      const hub = new Hub()
      const left = new AbortController()
      const signal = AbortSignal.any([caller.signal, left.signal])
      const tellTable = coalesce(() => hub.tell({ event: 'table', ...table.view }))
      const table = new CardTable(
        request,
        request,
        { ...caller, signal },
        {
          onEvent(event) {
            caller.onEvent(event)
            hub.tell(event)
          },
          onChange: tellTable,
        },
      )
      await table.look()
      const announce = (): string => {
        const address = `${origins[0]}/enter?token=${doors.newToken()}`
        onStation({ event: 'station', address, fingerprint: tls?.fingerprint ?? null })
        return address
      }
      server.serve({
        doors,
        files,
        hub,
        first: () => ({ event: 'table', ...table.view }),
        routes: routesOf(table, request, caller),
        onEntered: announce,
        onBug: (error) => left.abort(error),
      })
      const address = announce()
      if (request.open) openBrowser(address, caller)
      await table.run()
      // A bug in an answer ends the station, like any other.
      if (!caller.signal.aborted) signal.throwIfAborted()
    } finally {
      await server.close()
    }
  } finally {
    lock.release()
  }
}

function routesOf(table: CardTable, request: ClusterRequest, caller: Caller): Routes {
  let planning: Promise<unknown> = Promise.resolve()
  let starting: Promise<unknown> = Promise.resolve()
  return {
    questions: {
      table: async () => table.view,
      questions: () => initQuestions(request, caller),
      /** One after the other: each may read a whole image. */
      plan: (given, signal) => {
        const node = word(given, 'node')
        const planned = planning.then(async () => {
          const events: object[] = []
          const both = AbortSignal.any([signal, caller.signal])
          const onEvent: Caller['onEvent'] = (event) => void (event.event === 'plan' && events.push(event))
          await plan({ ...request, nodes: [node] }, { ...caller, signal: both, onEvent })
          return events[0] ?? {}
        })
        planning = planned.catch(() => {})
        return planned
      },
    },
    orders: {
      /** Of two browsers the second is told that the cluster is there. */
      init(given) {
        const form = readForm(given)
        const started = starting.then(() => initFromForm(form, request, caller))
        starting = started.catch(() => {})
        return started
      },
      async flash(given) {
        const order = { slot: word(given, 'slot'), medium: word(given, 'medium'), node: word(given, 'node') }
        const serial = given.serial === undefined ? undefined : word(given, 'serial')
        await table.flash({ ...order, again: given.again === true, serial })
        return {}
      },
      async arm(given) {
        if (given.armed !== true) table.disarm()
        else await table.arm(words(given, 'media'))
        return {}
      },
      async compare(given) {
        await table.compare({ slot: word(given, 'slot'), medium: word(given, 'medium') })
        return {}
      },
      async stop(given) {
        table.stop(word(given, 'slot'))
        return {}
      },
    },
  }
}

function word(given: Record<string, unknown>, name: string): string {
  const value = given[name]
  if (typeof value === 'string' && value !== '') return value
  throw new UsageError(`"${name}" must be a text`)
}

function words(given: Record<string, unknown>, name: string): string[] {
  const value = given[name] ?? []
  if (Array.isArray(value) && value.every((one) => typeof one === 'string')) return value
  throw new UsageError(`"${name}" must be a list of texts`)
}

const FIELDS: readonly (keyof InitForm)[] = [
  'template',
  'nodes',
  'models',
  'image',
  'login',
  'password',
  'again',
  'wifi',
  'ssid',
  'country',
  'passphrase',
]

function readForm(given: Record<string, unknown>): InitForm {
  return Object.fromEntries(
    FIELDS.map((name) => {
      const value = given[name] ?? ''
      if (typeof value === 'string') return [name, value]
      throw new UsageError(`"${name}" must be a text`)
    }),
  ) as unknown as InitForm
}

/** @throws {UsageError} it is no address */
export function parseAddress(text: string): { host: string; port: number } {
  const [, host = '', port = ''] = /^(\[[\da-f:.]+\]|[\w.-]+):(\d{1,5})$/i.exec(text) ?? []
  if (host === '' || Number(port) > 65_535)
    throw new UsageError(`"${text}" is not an address to listen on`, {
      hint: 'For example --listen 127.0.0.1:4711, or --listen 0.0.0.0:4711',
    })
  return { host: host === 'localhost' ? '127.0.0.1' : host.replace(/^\[|\]$/g, ''), port: Number(port) }
}

/** What browsers may call the station, the one to print first. */
function originsOf(host: string, port: number, isSecure: boolean): string[] {
  const isAny = host === '0.0.0.0' || host === '::'
  const isLocal = host === '127.0.0.1' || host === '::1'
  const own = Object.values(networkInterfaces()).flatMap((all) => all ?? [])
  const addresses = own.filter(({ internal }) => !internal).map(({ address }) => address)
  const names = [hostname(), `${hostname()}.local`]
  const hosts = isAny
    ? [...addresses, ...names, 'localhost', '127.0.0.1']
    : isLocal
      ? [host, 'localhost']
      : [host, ...names]
  return hosts.map(
    (name) =>
      new URL(
        `${isSecure ? 'https' : 'http'}://${name.includes(':') ? `[${name.split('%')[0]}]` : name}:${port}`,
      ).origin,
  )
}

/** Long enough that guessing at one a second leads nowhere. */
const LEAST_PASSWORD = 10

async function readPassword({ passwordFile }: StationRequest, { cwd }: Caller): Promise<Secret | undefined> {
  if (passwordFile === undefined) return undefined
  const text = await readFile(resolve(cwd, passwordFile), 'utf8').catch((cause: Error) => {
    throw new UsageError(`the password can't be read: ${cause.message}`, { cause })
  })
  const password = text.replace(/\r?\n$/, '')
  if (password.length < LEAST_PASSWORD)
    throw new UsageError(`the password in ${passwordFile} has fewer than ${LEAST_PASSWORD} characters`)
  return new Secret(password)
}

/** The same at every start of the same cluster, so that a browser that trusts it goes on to. */
async function makeCertificate(folder: string): Promise<{ key: string; cert: string; fingerprint: string }> {
  const file = join(folder, CLUSTER_KEY_FILE)
  const seed = existsSync(file)
    ? derive(await readClusterKey(file), 'station-certificate', '', p256SeedBytes)
    : randomBytes(p256SeedBytes)
  const { certificate, privateKey } = makeCertificateAuthority(seed, 'piimage station')
  const der = Buffer.from(certificate.replaceAll(/-----[^-]+-----|\s/g, ''), 'base64')
  const digest = createHash('sha256').update(der).digest('hex').toUpperCase()
  return { key: privateKey.reveal(), cert: certificate, fingerprint: (digest.match(/../g) ?? []).join(':') }
}

function openBrowser(address: string, { platform, onEvent }: Caller): void {
  const program = platform === 'darwin' ? 'open' : 'xdg-open'
  const child = spawn(program, [address], { stdio: 'ignore', detached: true })
  child.on('error', () =>
    onEvent({
      event: 'note',
      message: `no browser could be started (${program}); open the address yourself`,
    }),
  )
  child.unref()
}

/** Calls `tell` soon, once for all that happens until then. */
function coalesce(tell: () => void): () => void {
  let isDue = false
  const tellNow = () => {
    isDue = false
    tell()
  }
  return () => {
    if (isDue) return
    isDue = true
    setTimeout(tellNow, TELL_MS).unref()
  }
}
