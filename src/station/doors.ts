/**
 * Who may come in. A request must be meant for this station (Host), must not
 * come from another site (Origin, Sec-Fetch-Site), and must carry the cookie
 * that a one-time address or the password was exchanged for. Cookies alone are
 * sent by every page of every site; the three together are not.
 */
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Secret } from '../secret.ts'

/** Of these the oldest is forgotten. */
const MOST_SESSIONS = 64
/** After a wrong password; one try at a time. */
const WRONG_PASSWORD_MS = 1_000

/** Why a request is not answered. */
export interface Refused {
  status: number
  message: string
  hint?: string
}

export interface DoorOptions {
  /** What browsers call it: `http://127.0.0.1:4711`, one for each name. */
  origins: ReadonlySet<string>
  /** Part of the cookie's name: cookies are shared by all ports of a machine. */
  port: number
  isSecure: boolean
  /** undefined: there are one-time addresses only. */
  password?: Secret
}

export class Doors {
  readonly #options: DoorOptions
  readonly #hosts: ReadonlySet<string>
  readonly #sessions = new Set<string>()
  #token: string | undefined
  #tries: Promise<unknown> = Promise.resolve()

  constructor(options: DoorOptions) {
    this.#options = options
    this.#hosts = new Set([...options.origins].map((origin) => new URL(origin).host))
  }

  /** Whatever is asked for: meant for this station, and by itself. */
  refuseStranger({ method, headers }: IncomingMessage): Refused | undefined {
    const { host, origin, 'sec-fetch-site': site } = headers
    if (host === undefined || !this.#hosts.has(host.toLowerCase()))
      return {
        status: 421,
        message: 'this station is not known by that name',
        hint: 'Open the address that piimage station printed.',
      }
    const isForeign = origin !== undefined && !this.#isOwn(origin, host)
    if (isForeign || (site !== undefined && site !== 'same-origin' && site !== 'none'))
      return { status: 403, message: 'another site asked for this' }
    if (method !== 'GET' && method !== 'HEAD' && origin === undefined)
      return {
        status: 403,
        message: 'a change needs an Origin header',
        hint: `Send Origin: ${this.#originOf(host)}`,
      }
    return undefined
  }

  #isOwn(origin: string, host: string): boolean {
    return this.#options.origins.has(origin) && origin === this.#originOf(host)
  }

  #originOf(host: string): string {
    return `${this.#options.isSecure ? 'https' : 'http'}://${host.toLowerCase()}`
  }

  /** A token that opens the door once; earlier ones don't any more. */
  newToken(): string {
    this.#token = randomBytes(24).toString('base64url')
    return this.#token
  }

  /** @returns the cookie for a token that was not used yet; undefined: it is none, or was */
  enter(token: string): string | undefined {
    if (this.#token === undefined || !isSame(token, this.#token)) return undefined
    this.#token = undefined
    return this.#newSession()
  }

  /** @returns the cookie; undefined: the password is wrong, which takes a second to say */
  login(password: string): Promise<string | undefined> {
    const { password: right } = this.#options
    const tried = this.#tries.then(async () => {
      if (right !== undefined && isSame(password, right.reveal())) return this.#newSession()
      await sleep(WRONG_PASSWORD_MS)
      return undefined
    })
    this.#tries = tried
    return tried
  }

  get hasPassword(): boolean {
    return this.#options.password !== undefined
  }

  knows({ headers }: IncomingMessage): boolean {
    const values = (headers.cookie ?? '')
      .split(';')
      .map((pair) => pair.trim())
      .filter((pair) => pair.startsWith(`${this.#cookieName}=`))
      .map((pair) => pair.slice(this.#cookieName.length + 1))
    return values.some((value) => this.#sessions.has(digest(value)))
  }

  get #cookieName(): string {
    return `piimage-station-${this.#options.port}`
  }

  #newSession(): string {
    const value = randomBytes(24).toString('base64url')
    this.#sessions.add(digest(value))
    for (const oldest of this.#sessions) {
      if (this.#sessions.size <= MOST_SESSIONS) break
      this.#sessions.delete(oldest)
    }
    const secure = this.#options.isSecure ? '; Secure' : ''
    return `${this.#cookieName}=${value}; Path=/; HttpOnly; SameSite=Strict${secure}`
  }
}

const digest = (text: string): string => createHash('sha256').update(text).digest('hex')

/** Takes as long for the first wrong letter as for the last. */
const isSame = (one: string, other: string): boolean =>
  timingSafeEqual(Buffer.from(digest(one)), Buffer.from(digest(other)))
