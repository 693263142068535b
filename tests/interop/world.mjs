// The suite's fixed facts: the asset, the accounts, the prices, and the body that is uploaded.
// Keys are the well-known development ones: worthless on every chain but this one.
import { createHash } from "node:crypto";
import { privateKeyToAccount } from "viem/accounts";

export const DOLLAR = {
  chainId: 84532,
  network: "eip155:84532",
  networkV1: "base-sepolia",
  address: "0x036CbD53842c5426634e7929541eC2318f3dCF7e",
};

const account = (key) => ({ key, address: privateKeyToAccount(key).address });
export const PAYER = account("0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80");
export const FACILITATOR = account("0x59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d");
export const EMPTY = account("0x5de4111afa1a4b94908f83103eb1f1706367c2e68ca870fc3fb9a804cdab365a");
export const PAYER_FUNDS = 1_000_000_000n;

// A payee for each server, so that a balance tells which one was paid.
export const PAYEE = { 1: `0x${"a1".repeat(20)}`, 2: `0x${"b2".repeat(20)}` };

// Atomic units, and how the servers' configuration spells them.
export const PRICE = {
  weather: { amount: 1_000n, text: "$0.001" },
  upload: { amount: 20_000n, text: "$0.02" },
  // What is signed for at most, and what is taken of it.
  ceiling: { amount: 50_000n, text: "$0.05" },
  taken: { amount: 12_345n },
};

// A few bytes over the 8 MiB that a client is likely to keep in memory.
export const UPLOAD_BYTES = 8 * 1024 * 1024 + 13;

/** Byte `i` is the top byte of `i` times Knuth's 2654435761 modulo 2^32: no two places look alike. */
export function uploadChunk(from, to) {
  const chunk = Buffer.allocUnsafe(to - from);
  for (let i = from; i < to; i += 1) chunk[i - from] = Math.imul(i, 2654435761) >>> 24;
  return chunk;
}

export const UPLOAD_SHA256 = createHash("sha256").update(uploadChunk(0, UPLOAD_BYTES)).digest("hex");
