/** A station of a test: started in this process, spoken to over HTTP as a browser does. */
import { request as httpRequest, type IncomingHttpHeaders } from 'node:http'
import type { TestContext } from 'node:test'
import { InterruptedError } from '../../src/errors.ts'
import { type StationEvent, type StationRequest, station } from '../../src/station/station.ts'
import type { SlotView, TableView } from '../../src/station/view.ts'
import type { WorkEvent } from '../../src/work/events.ts'
import type { Project } from './project.ts'

export interface Answered {
  status: number
  headers: IncomingHttpHeaders
  text: string
}

export interface AskOptions {
  method?: string
  path: string
  headers?: Record<string, string>
  body?: string
}

export interface TestStation {
  origin: string
  port: number
  /** The newest one-time address. */
  address(): string
  events: (WorkEvent & { slot?: string })[]
  /** What it said of itself, address by address. */
  told: StationEvent[]
  /** Over one connection of its own, with nothing added but Host. */
  ask(options: AskOptions): Promise<Answered>
  /** With the cookie of a browser that came in. */
  get(path: string): Promise<Answered>
  order(name: string, given: object): Promise<Answered>
  cookie: string
  table(): Promise<TableView>
  /** Until the table is as wanted. */
  until<T>(what: string, found: (table: TableView) => T | undefined | false | null): Promise<T>
  slot(name: string): Promise<SlotView | undefined>
  /** Ask it to stop, as SIGTERM does, and wait for its end. */
  stop(): Promise<void>
}

/** On a machine that boots guests meanwhile. */
const DEADLINE_MS = 180_000

export async function startStation(
  t: TestContext,
  project: Project,
  request: Partial<StationRequest> = {},
): Promise<TestStation> {
  const stop = new AbortController()
  const events: TestStation['events'] = []
  const told: StationEvent[] = []
  let onBegun: () => void = () => {}
  const begun = new Promise<void>((resolve) => {
    onBegun = resolve
  })
  const ended = station(
    { cluster: project.file('cluster.yaml'), cache: project.file('cache'), readers: [], ...request },
    {
      cwd: project.folder,
      env: { HOME: project.folder },
      platform: process.platform,
      now: () => new Date(),
      signal: stop.signal,
      onEvent: (event) => void events.push(event),
      confirm: async () => false,
    },
    (event) => {
      told.push(event)
      onBegun()
    },
  )
  await Promise.race([begun, ended])
  const end = async (): Promise<void> => {
    stop.abort(new InterruptedError('stopped by the test'))
    await ended
  }
  t.after(() => end().catch(() => {}))
  const { origin, port } = new URL((told[0] as StationEvent).address)
  const ask = (options: AskOptions) => askAt(Number(port), options)
  const address = () => (told.at(-1) as StationEvent).address
  const { pathname, search } = new URL(address())
  const entered = await ask({ path: `${pathname}${search}` })
  const cookie = String(entered.headers['set-cookie']?.[0]?.split(';')[0])
  const get = (path: string) => ask({ path, headers: { cookie } })
  const table = async () => JSON.parse((await get('/api/table')).text) as TableView
  return {
    origin,
    port: Number(port),
    address,
    events,
    told,
    ask,
    get,
    cookie,
    table,
    order: (name, given) =>
      ask({
        method: 'POST',
        path: `/api/${name}`,
        headers: { cookie, origin, 'content-type': 'application/json' },
        body: JSON.stringify(given),
      }),
    async until(what, found) {
      const deadline = performance.now() + DEADLINE_MS
      for (;;) {
        const now = await table()
        const result = found(now)
        if (result !== undefined && result !== false && result !== null) return result
        if (performance.now() > deadline)
          throw new Error(`${what}: not so in ${JSON.stringify(now, null, 1)}`)
        await new Promise((resolve) => setTimeout(resolve, 50))
      }
    },
    slot: async (name) => (await table()).slots.find(({ slot }) => slot === name),
    stop: end,
  }
}

/** @returns status 0: the connection was closed without an answer */
export function askAt(
  port: number,
  { method = 'GET', path, headers = {}, body }: AskOptions,
): Promise<Answered> {
  return new Promise((resolve) => {
    const gone = () => resolve({ status: 0, headers: {}, text: '' })
    const request = httpRequest(
      { host: '127.0.0.1', port, method, path, headers, agent: false },
      (response) => {
        let text = ''
        response.setEncoding('utf8')
        response.on('data', (part) => {
          text += part
        })
        response.on('error', gone)
        response.on('end', () =>
          resolve({ status: response.statusCode ?? 0, headers: response.headers, text }),
        )
      },
    )
    request.on('error', gone)
    request.end(body)
  })
}
