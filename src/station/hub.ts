/**
 * Who is told: scripts and browsers that follow the station. Few of them may
 * follow at once, and one that does not read what it is sent is let go.
 */
import type { ServerResponse } from 'node:http'
import { quoteJson } from '../terminal-text.ts'
import { KiB } from '../units.ts'

export const MOST_STREAMS = 32
/** What one may leave unread. */
const MOST_UNREAD = 512 * KiB
/** Proxies and readers end a stream on which nothing comes. */
const HEARTBEAT_MS = 15_000

export class Hub {
  readonly #streams = new Set<ServerResponse>()
  readonly #heartbeat = setInterval(() => this.#write(': still here\n\n'), HEARTBEAT_MS).unref()

  /** @returns whether there was room for one more */
  follow(response: ServerResponse, first: object): boolean {
    if (this.#streams.size >= MOST_STREAMS) return false
    this.#streams.add(response)
    response.on('close', () => this.#streams.delete(response))
    response.writeHead(200, { 'content-type': 'text/event-stream; charset=utf-8' })
    response.write(format(first))
    return true
  }

  /** @param event an object of `--json` */
  tell(event: object): void {
    if (this.#streams.size > 0) this.#write(format(event))
  }

  get streams(): number {
    return this.#streams.size
  }

  close(): void {
    clearInterval(this.#heartbeat)
    for (const stream of this.#streams) stream.end()
  }

  #write(text: string): void {
    for (const stream of this.#streams) {
      stream.write(text)
      if (stream.writableLength > MOST_UNREAD) stream.destroy()
    }
  }
}

/** JSON has no line ends, so an object is one line of data. */
const format = (event: object): string => `data: ${quoteJson(JSON.stringify(event))}\n\n`
