/** Readers as the batch's tests have them: links to loop devices that come when a card is put in. */
import { readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import type { TestContext } from 'node:test'
import { attachLoopDevice, detachLoopDevice } from './loop.ts'
import { DEMO_LAYOUT, type Project } from './project.ts'

export class Reader {
  readonly path: string
  readonly #project: Project
  #loop: string | undefined

  constructor(t: TestContext, project: Project, name: string) {
    this.#project = project
    this.path = project.file(name)
    t.after(() => this.eject())
  }

  insert(card: string, { readOnly = false } = {}): void {
    this.eject()
    this.#loop = attachLoopDevice(this.#project.file(card), { readOnly })
    symlinkSync(this.#loop, this.path)
  }

  eject(): void {
    if (this.#loop === undefined) return
    rmSync(this.path, { force: true })
    detachLoopDevice(this.#loop)
    this.#loop = undefined
  }
}

export function makeCards(project: Project, ...names: string[]): void {
  for (const name of names) writeFileSync(project.file(name), Buffer.alloc(DEMO_LAYOUT.length, 0xa5))
}

export const journalOf = (project: Project) =>
  JSON.parse(readFileSync(project.file('.piimage-batch.json'), 'utf8')) as { done: Record<string, object> }
