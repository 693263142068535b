// The suite's fixed facts: the asset, the accounts, the prices, and the body that is uploaded.
// Keys are the well-known development ones: worthless on every chain but this one.
import { createHash, createPrivateKey, createPublicKey } from "node:crypto";
import { getBase58Decoder } from "@solana/kit";
import { privateKeyToAccount } from "viem/accounts";

const base58 = (bytes) => getBase58Decoder().decode(bytes);

/** An ed25519 key pair from its seed. */
function keyPairOf(seed) {
  const pkcs8 = Buffer.concat([Buffer.from("302e020100300506032b657004220420", "hex"), seed]);
  const secret = createPrivateKey({ key: pkcs8, format: "der", type: "pkcs8" });
  const spki = createPublicKey(secret).export({ format: "der", type: "spki" });
  return { privateKey: seed, publicKey: spki.subarray(-32) };
}

export const DOLLAR = {
  chainId: 84532,
  network: "eip155:84532",
  networkV1: "base-sepolia",
  address: "0x036CbD53842c5426634e7929541eC2318f3dCF7e",
};

// USDC of Solana's development cluster.
export const SOLANA_DOLLAR = {
  network: "solana:EtWTRABZaYq6iMfeYKouRu166VU2xqa1",
  mint: "4zMMC9srt5Ri5X14GAgXhaHii3GnPAEERYPJgZJDncDU",
  decimals: 6,
};

const account = (key) => ({ key, address: privateKeyToAccount(key).address });
export const PAYER = account("0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80");
export const FACILITATOR = account("0x59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d");
export const EMPTY = account("0x5de4111afa1a4b94908f83103eb1f1706367c2e68ca870fc3fb9a804cdab365a");
export const PAYER_FUNDS = 1_000_000_000n;

// Key pairs in base58, of seeds such as 01 02 ... 20: as worthless.
const solana = (seed) => {
  const { publicKey, privateKey } = keyPairOf(seed);
  return { key: base58(Buffer.concat([privateKey, publicKey])), address: base58(publicKey) };
};
export const SOLANA_PAYER = solana(Buffer.from(Array.from({ length: 32 }, (_, i) => i + 1)));
export const SOLANA_FACILITATOR = solana(Buffer.alloc(32, 7));
export const SOLANA_EMPTY = solana(Buffer.alloc(32, 8));
export const SOLANA_PAYEE = solana(Buffer.alloc(32, 9)).address;

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
