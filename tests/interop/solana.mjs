// A Solana cluster in this process: LiteSVM, which runs the real programs and verifies signatures, behind the few methods
// of JSON-RPC that the official packages and clients ask. Owns the accounts and everything read from them. Knows nothing
// of x402. What it is not: blocks are final at once, and the one blockhash never gets old.
import { createServer } from "node:http";
import {
  address, createKeyPairSignerFromBytes, getAddressEncoder, getBase58Decoder, getBase58Encoder, getTransactionDecoder,
  lamports,
} from "@solana/kit";
import { TOKEN_PROGRAM_ADDRESS, findAssociatedTokenPda } from "@solana-program/token";
import { LiteSVM } from "litesvm";
import { listen } from "./listen.mjs";
import { SOLANA_DOLLAR } from "./world.mjs";

const REQUEST_BYTES_MAX = 1024 * 1024;
const MINT_BYTES = 82;
const TOKEN_ACCOUNT_BYTES = 165;
const AMOUNT_AT = 64;
const FEES = lamports(10_000_000_000n);
const RENT = lamports(10_000_000n);

const bytesOf = (key) => getAddressEncoder().encode(address(key));

/** The layout of the token program's mint: no authority, so that nobody makes more of it. */
function mint() {
  const data = new Uint8Array(MINT_BYTES);
  data[44] = SOLANA_DOLLAR.decimals;
  data[45] = 1; // initialized
  return data;
}

function tokenAccount(owner, amount) {
  const data = new Uint8Array(TOKEN_ACCOUNT_BYTES);
  data.set(bytesOf(SOLANA_DOLLAR.mint), 0);
  data.set(bytesOf(owner), 32);
  new DataView(data.buffer).setBigUint64(AMOUNT_AT, amount, true);
  data[108] = 1; // initialized
  return data;
}

function store(svm, at, data) {
  svm.setAccount({
    address: address(at), data, executable: false, lamports: RENT, programAddress: TOKEN_PROGRAM_ADDRESS,
    space: BigInt(data.length),
  });
}

async function accountOf(owner) {
  const [pda] = await findAssociatedTokenPda({
    owner: address(owner), mint: address(SOLANA_DOLLAR.mint), tokenProgram: TOKEN_PROGRAM_ADDRESS,
  });
  return pda;
}

export const signerOf = (keyPair) => createKeyPairSignerFromBytes(getBase58Encoder().encode(keyPair));

/** `funds`: what each owner has of the dollar, who has an account of it only then. `feePayer` has what fees cost. */
export async function startSolana(funds, feePayer) {
  const svm = new LiteSVM();
  store(svm, SOLANA_DOLLAR.mint, mint());
  for (const [owner, amount] of funds) store(svm, await accountOf(owner), tokenAccount(owner, amount));
  svm.airdrop(address(feePayer), FEES);
  const server = createServer((request, response) => answer(svm, request, response));
  return {
    ...(await listen(server)),
    async balance(owner) {
      const account = svm.getAccount(await accountOf(owner));
      return account.exists ? new DataView(Uint8Array.from(account.data).buffer).getBigUint64(AMOUNT_AT, true) : 0n;
    },
    /** Whether the cluster took the transaction, and what its programs said. */
    transaction(signature) {
      const found = svm.getTransaction(signature);
      return { succeeded: found !== null && typeof found.err !== "function", logs: found?.logs?.() ?? [] };
    },
  };
}

async function answer(svm, request, response) {
  const chunks = [];
  let length = 0;
  for await (const chunk of request) {
    length += chunk.length;
    if (length > REQUEST_BYTES_MAX) return response.destroy();
    chunks.push(chunk);
  }
  const { id, method, params = [] } = JSON.parse(Buffer.concat(chunks).toString());
  const reply = {};
  try {
    if (!METHODS[method]) throw new Error(`this cluster has no ${method}`);
    reply.result = METHODS[method](svm, ...params);
  } catch (error) {
    reply.error = { code: -32_603, message: String(error.message ?? error) };
  }
  response.writeHead(200, { "content-type": "application/json" });
  response.end(JSON.stringify({ jsonrpc: "2.0", id, ...reply }));
}

const at = (value) => ({ context: { slot: 1 }, value });
const decoded = (wire) => getTransactionDecoder().decode(Buffer.from(wire, "base64"));
const failed = (outcome) => typeof outcome.err === "function";

const METHODS = {
  getLatestBlockhash: (svm) => at({ blockhash: svm.latestBlockhash(), lastValidBlockHeight: 1_000 }),
  getSlot: () => 1,
  getBlockHeight: () => 1,
  getAccountInfo(svm, key) {
    const account = svm.getAccount(address(key));
    if (!account.exists) return at(null);
    return at({
      data: [Buffer.from(account.data).toString("base64"), "base64"], executable: account.executable,
      lamports: Number(account.lamports), owner: account.programAddress, rentEpoch: 0, space: account.data.length,
    });
  },
  getTokenAccountBalance(svm, key) {
    const account = svm.getAccount(address(key));
    if (!account.exists) throw new Error("could not find account");
    const amount = new DataView(Uint8Array.from(account.data).buffer).getBigUint64(AMOUNT_AT, true);
    return at({ amount: String(amount), decimals: SOLANA_DOLLAR.decimals, uiAmountString: String(amount) });
  },
  // The facilitator tries a payment before it signs for the fee; what is sent is verified whole.
  simulateTransaction(svm, wire, { sigVerify = false } = {}) {
    svm.withSigverify(sigVerify);
    const outcome = svm.simulateTransaction(decoded(wire));
    svm.withSigverify(true);
    return at({ err: failed(outcome) ? outcome.toString() : null, logs: outcome.meta().logs(), unitsConsumed: 1, accounts: null });
  },
  sendTransaction(svm, wire) {
    const outcome = svm.sendTransaction(decoded(wire));
    if (failed(outcome)) throw new Error(outcome.toString());
    return getBase58Decoder().decode(outcome.signature());
  },
  getSignatureStatuses: (svm, signatures) => at(signatures.map((signature) => {
    const found = svm.getTransaction(signature);
    return found && { slot: 1, confirmations: null, confirmationStatus: "finalized", err: failed(found) ? found.toString() : null };
  })),
};
