// The suite's control: the official clients behind the same command line as client.c, so that a failing
// check can be told from a failing suite.
//   node reference-client.mjs METHOD URL [UPLOAD_BYTES]
// The keys come in X402_INTEROP_KEY and X402_INTEROP_SOLANA_KEY, the URLs of nodes in X402_INTEROP_NODE and
// X402_INTEROP_SOLANA_SPARE_NODE (on Solana the official client cannot do without one), the server's protocol (1 or 2) in X402_INTEROP_PROTOCOL.
// x402-fetch cannot replay a stream, so uploads go through @x402/fetch to both servers.
import { ExactEvmScheme } from "@x402/evm/exact/client";
import { ExactEvmSchemeV1 } from "@x402/evm/exact/v1/client";
import { toClientEvmSigner } from "@x402/evm";
import { UptoEvmScheme } from "@x402/evm/upto/client";
import { ExactSvmScheme } from "@x402/svm/exact/client";
import { wrapFetchWithPayment, x402Client } from "@x402/fetch";
import { createPublicClient, http } from "viem";
import { privateKeyToAccount } from "viem/accounts";
import { createSigner, wrapFetchWithPayment as wrapFetchWithPaymentV1 } from "x402-fetch";
import { signerOf } from "./solana.mjs";
import { DOLLAR, SOLANA_DOLLAR, uploadChunk } from "./world.mjs";

const CHUNK_BYTES = 64 * 1024;
const [method, url, uploadBytes] = process.argv.slice(2);
const key = process.env.X402_INTEROP_KEY;
const decode = (text) => JSON.parse(Buffer.from(text, "base64").toString());

let amount = null;
async function observed(input, init) {
  const request = new Request(input, init);
  const payment = request.headers.get("payment-signature") ?? request.headers.get("x-payment");
  if (payment) {
    const { payload, accepted } = decode(payment);
    amount = payload.authorization?.value ?? payload.permit2Authorization?.permitted.amount ?? accepted.amount;
  }
  return fetch(request);
}

async function payingFetch() {
  const account = privateKeyToAccount(key);
  const node = createPublicClient({ transport: http(process.env.X402_INTEROP_NODE) });
  const signer = toClientEvmSigner(account, node);
  const client = new x402Client()
    .register(DOLLAR.network, new ExactEvmScheme(signer))
    .register(DOLLAR.network, new UptoEvmScheme(signer))
    .register(SOLANA_DOLLAR.network, new ExactSvmScheme(
      await signerOf(process.env.X402_INTEROP_SOLANA_KEY), { rpcUrl: process.env.X402_INTEROP_SOLANA_SPARE_NODE },
    ))
    .registerV1(DOLLAR.networkV1, new ExactEvmSchemeV1(account));
  return wrapFetchWithPayment(observed, client);
}

async function payingFetchV1() {
  return wrapFetchWithPaymentV1(observed, await createSigner(DOLLAR.networkV1, key));
}

function upload(length) {
  let at = 0;
  return new ReadableStream({
    pull(controller) {
      const end = Math.min(at + CHUNK_BYTES, length);
      controller.enqueue(new Uint8Array(uploadChunk(at, end)));
      at = end;
      if (at === length) controller.close();
    },
  });
}

const legacy = process.env.X402_INTEROP_PROTOCOL === "1" && !uploadBytes;
const pay = await (legacy ? payingFetchV1() : payingFetch());
const options = uploadBytes ? { method, body: upload(Number(uploadBytes)), duplex: "half" } : { method };
const response = await pay(url, options);
const body = await response.text();
const receiptText = response.headers.get("payment-response") ?? response.headers.get("x-payment-response");
const receipt = receiptText && decode(receiptText);
const challengeText = response.headers.get("payment-required");
const challenge = challengeText ? decode(challengeText) : response.status === 402 ? JSON.parse(body) : null;
const money = amount === null ? "none" : receipt?.success ? "paid" : "unknown";
console.log(JSON.stringify({
  status: response.status,
  money,
  amount,
  transaction: receipt?.transaction ?? "",
  refusal: (receipt?.errorReason ?? challenge?.error ?? "").split("\n")[0],
  body,
}));
