/**
 * A value that must never be shown: `plan`, logs and `--json` print `<secret>`.
 * Only the writer of a card calls `reveal`.
 */
export class Secret {
  readonly #value: string

  constructor(value: string) {
    this.#value = value
  }

  reveal(): string {
    return this.#value
  }

  toString(): string {
    return '<secret>'
  }

  toJSON(): string {
    return '<secret>'
  }

  [Symbol.for('nodejs.util.inspect.custom')](): string {
    return '<secret>'
  }
}
