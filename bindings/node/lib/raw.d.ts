/* raw.d.ts: the types of lib/raw.js, which has the functions of x402.h under their own names. */
/// <reference types="node" />

/** 0 is NULL. */
export type Handle = number;
/** What callback() gave: once as the callback and once as its userdata. */
export type External = object;
/** An output is a Buffer. */
export type Value = number | bigint | string | Uint8Array | readonly string[] | External | null;

export interface RawFunction {
  (...values: Value[]): any;
  /** The same on another thread; the last argument gets the result. */
  later(...valuesAndDone: [...Value[], (result: any) => void]): void;
}

export const raw: {
  readonly name: 'addon' | 'ffi-napi';
  bytes_at(output: Uint8Array, length?: number): Buffer | null;
  readonly [name: `x402_${string}`]: RawFunction;
};

/** Room for what a function writes: 8 bytes for a handle, an address or a length. */
export function output(bytes?: number): Buffer;
export function number(from: Buffer, at?: number): number;
export function handle(from: Buffer, at?: number): Handle;
/** The text at the address in an output. */
export function text(from: Buffer, encoding?: BufferEncoding, length?: number): string | null;
