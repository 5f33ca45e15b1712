/**
 * Attempts of an attacker, for the threat model in docs/security.md. Each is one
 * way of getting what the table says nobody gets; a test fails with the first
 * that gets through, so what it reports at its end is what was held.
 */
import type { TestContext } from 'node:test'
import { figure } from './figures.ts'

/** Count `tried` attempts of this test, all held. */
export function held(t: TestContext, tried: number): void {
  figure(t, 'attempts', tried)
  figure(t, 'got through', 0)
}
