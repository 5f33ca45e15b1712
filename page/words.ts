/** Figures and states in words. */
import type { Progress } from '../src/progress.ts'
import { formatBytes } from '../src/units.ts'
import type { Rate } from './state.ts'

const PHASES: Readonly<Record<Progress['phase'], string>> = {
  download: 'Downloading',
  unpack: 'Unpacking',
  check: 'Checking',
  write: 'Writing',
  verify: 'Reading back',
  compress: 'Packing',
}

/** `Writing: 120 MB of 2.4 GB` */
export function describeProgress({ phase, bytes, totalBytes }: Progress): string {
  const of = totalBytes === null ? '' : ` of ${formatBytes(totalBytes)}`
  return `${PHASES[phase]}: ${formatBytes(bytes)}${of}`
}

/** `21.3 MB/s, 1 min 20 s left` */
export function describeRate({ rate, secondsLeft }: Rate): string {
  if (rate === null) return ''
  const left = secondsLeft === null ? '' : `, ${describeSeconds(secondsLeft)} left`
  return `${formatBytes(rate)}/s${left}`
}

export function describeSeconds(seconds: number): string {
  const whole = Math.max(1, Math.round(seconds))
  if (whole < 60) return `${whole} s`
  return `${Math.floor(whole / 60)} min ${whole % 60} s`
}

const day = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'short' })

export const describeTime = (iso: string): string => day.format(new Date(iso))

export const count = (number: number, one: string): string => `${number} ${one}${number === 1 ? '' : 's'}`
