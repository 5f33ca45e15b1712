/** What a rehearsal finds: something that keeps a node from booting as it should, where it is, and how to mend it. */

/** The part of the boot it belongs to, in the order they happen. */
export type BootPhase =
  | 'server'
  | 'dhcp'
  | 'tftp'
  | 'firmware'
  | 'kernel'
  | 'cmdline'
  | 'nfs'
  | 'root'
  | 'identity'
  | 'first boot'

export interface Fault {
  step: BootPhase
  /** A file, an option or a server, as a person would look it up. */
  place: string
  /** What is wrong, with the value that is there. */
  problem: string
  /** The next thing to do, with the command where there is one. */
  mend: string
}

/** Something that could not be told, or is only worth knowing. */
export interface Note {
  place: string
  text: string
}

/** Collects both while a boot goes on. */
export class Findings {
  readonly faults: Fault[] = []
  readonly notes: Note[] = []

  fault(step: BootPhase, place: string, problem: string, mend: string): void {
    const fault = { step, place, problem, mend }
    const same = (other: Fault) => other.place === fault.place && other.problem === fault.problem
    if (!this.faults.some(same)) this.faults.push(fault)
  }

  note(place: string, text: string): void {
    const note = { place, text }
    if (!this.notes.some((other) => other.place === note.place && other.text === note.text))
      this.notes.push(note)
  }
}
