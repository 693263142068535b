// The official facilitator, for x402 v1 and v2, behind the three HTTP routes that servers call.
// Keeps its answers, so that a check can compare what it said with what reached the paying client.
import { createServer } from "node:http";
import { x402Facilitator } from "@x402/core/facilitator";
import { toFacilitatorEvmSigner } from "@x402/evm";
import { ExactEvmScheme } from "@x402/evm/exact/facilitator";
import { ExactEvmSchemeV1 } from "@x402/evm/exact/v1/facilitator";
import { UptoEvmScheme } from "@x402/evm/upto/facilitator";
import { toFacilitatorSvmSigner } from "@x402/svm";
import { ExactSvmScheme } from "@x402/svm/exact/facilitator";
import { createWalletClient, publicActions } from "viem";
import { privateKeyToAccount } from "viem/accounts";
import { DOLLAR, FACILITATOR, SOLANA_DOLLAR, SOLANA_FACILITATOR } from "./world.mjs";
import { listen } from "./listen.mjs";
import { signerOf } from "./solana.mjs";

const REQUEST_BYTES_MAX = 1024 * 1024;

export async function startFacilitator({ chain, transport }, solana) {
  const account = privateKeyToAccount(FACILITATOR.key);
  const wallet = createWalletClient({ account, chain, transport, pollingInterval: 50, cacheTime: 0 })
    .extend(publicActions);
  const signer = toFacilitatorEvmSigner({ ...wallet, address: account.address }, { confirmationTimeoutMs: 10_000 });
  const facilitator = new x402Facilitator()
    .register(DOLLAR.network, new ExactEvmScheme(signer))
    .register(DOLLAR.network, new UptoEvmScheme(signer))
    .register(SOLANA_DOLLAR.network, new ExactSvmScheme(
      toFacilitatorSvmSigner(await signerOf(SOLANA_FACILITATOR.key), { defaultRpcUrl: solana.url }),
    ))
    .registerV1(DOLLAR.networkV1, new ExactEvmSchemeV1(signer));

  const answers = [];
  const server = createServer(async (request, response) => {
    const reply = (status, value) => {
      response.writeHead(status, { "content-type": "application/json" });
      response.end(JSON.stringify(value));
    };
    try {
      if (request.url === "/supported") return reply(200, facilitator.getSupported());
      const action = { "/verify": "verify", "/settle": "settle" }[request.url];
      if (!action) return reply(404, { error: "no such route" });
      const { paymentPayload, paymentRequirements } = JSON.parse(await body(request));
      const answer = await facilitator[action](paymentPayload, paymentRequirements);
      answers.push({ action, reason: answer.invalidReason ?? answer.errorReason, answer });
      return reply(200, answer);
    } catch (error) {
      return reply(500, { error: String(error) });
    }
  });
  return { ...(await listen(server)), answers };
}

async function body(request) {
  const chunks = [];
  let length = 0;
  for await (const chunk of request) {
    length += chunk.length;
    if (length > REQUEST_BYTES_MAX) throw new Error("the request is too large");
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}
