/**
 * Page-aligned buffers: what O_DIRECT demands and `Buffer.alloc` does not give.
 *
 * The memory of a WebAssembly.Memory starts on a page boundary, so direct I/O
 * works in plain Node, without a native add-on. One Memory holds all buffers
 * of a caller: each Memory also reserves gigabytes of address space (not of
 * memory), which is cheap once and wasteful per buffer.
 */
import { alignUp, KiB } from '../units.ts'

/** TypeScript counts WebAssembly as part of the browser; Node has it. */
declare const WebAssembly: {
  Memory: new (size: { initial: number }) => { readonly buffer: ArrayBuffer }
}

/** The granularity of WebAssembly memory; a multiple of every page size in use. */
const WASM_PAGE_BYTES = 64 * KiB

/**
 * `count` zero-filled buffers of exactly `length` bytes, each starting on a
 * 64 KiB boundary. They are never given back one by one: reuse them.
 */
export function allocateAligned(count: number, length: number): Buffer[] {
  const step = alignUp(length, WASM_PAGE_BYTES)
  const memory = new WebAssembly.Memory({ initial: (count * step) / WASM_PAGE_BYTES })
  return Array.from({ length: count }, (_, index) => Buffer.from(memory.buffer, index * step, length))
}
