// The official servers: Express with the v2 middleware, and Express with the v1 middleware.
// Both offer the same routes; they differ in when an upload's body is read:
//   /upload           the body is read to its end, then the price is asked
//   /upload-early     the price is asked while the body is still coming
//   /upload-continue  as early, and a client that sent `Expect: 100-continue` gets its 402 in place of the 100
//   /drained          the handler empties the payer's wallet between verification and settlement
// Of version 2 alone:
//   /permit2          paid through Permit2
//   /permit2-permit   as that, and the facilitator takes a permit of the token's (EIP-2612) for the approval
//   /solana           paid on Solana; the offer holds a blockhash where `hints.rpcUrl` says whom to ask for one
//   /upto             a ceiling is signed, and the handler says how much of it is taken
import { createHash } from "node:crypto";
import { createServer } from "node:http";
import express from "express";
import { HTTPFacilitatorClient, x402ResourceServer } from "@x402/core/server";
import { ExactEvmScheme } from "@x402/evm/exact/server";
import { UptoEvmScheme } from "@x402/evm/upto/server";
import { ExactSvmScheme } from "@x402/svm/exact/server";
import { paymentMiddleware as paymentMiddlewareV2, setSettlementOverrides } from "@x402/express";
import { paymentMiddleware as paymentMiddlewareV1 } from "x402-express";
import { DOLLAR, PAYEE, PAYER, PRICE, SOLANA_DOLLAR, SOLANA_PAYEE } from "./world.mjs";
import { listen } from "./listen.mjs";

const PAID_ROUTES = [
  ["GET /weather", PRICE.weather],
  ["GET /drained", PRICE.weather],
  ["POST /upload", PRICE.upload],
  ["POST /upload-early", PRICE.upload],
  ["POST /upload-continue", PRICE.upload],
];

const PERMIT2 = { extra: { assetTransferMethod: "permit2" } };
const TAKES_PERMITS = {
  eip2612GasSponsoring: { info: { description: "The facilitator hands in the permit.", version: "1" }, schema: {} },
};
const V2_ROUTES = [
  ...PAID_ROUTES,
  ["GET /permit2", PRICE.weather, PERMIT2],
  ["GET /permit2-permit", PRICE.weather, PERMIT2, TAKES_PERMITS],
  ["GET /upto", PRICE.ceiling, { scheme: "upto" }],
  ["GET /solana", PRICE.weather, { network: SOLANA_DOLLAR.network, payTo: SOLANA_PAYEE }],
];

function paywallV2(facilitatorUrl, hints) {
  const server = new x402ResourceServer(new HTTPFacilitatorClient({ url: facilitatorUrl }))
    .register(DOLLAR.network, new ExactEvmScheme())
    .register(DOLLAR.network, new UptoEvmScheme())
    .register(SOLANA_DOLLAR.network, new ExactSvmScheme(hints));
  const routes = Object.fromEntries(V2_ROUTES.map(([route, price, terms, extensions]) => [route, {
    accepts: {
      scheme: "exact", price: price.text, network: DOLLAR.network, payTo: PAYEE[2], maxTimeoutSeconds: 60, ...terms,
    },
    description: `v2 ${route}`,
    mimeType: "application/json",
    ...(extensions && { extensions }),
  }]));
  return paymentMiddlewareV2(routes, server);
}

function paywallV1(facilitatorUrl) {
  const routes = Object.fromEntries(PAID_ROUTES.map(([route, price]) => [route, {
    price: price.text,
    network: DOLLAR.networkV1,
    config: { description: `v1 ${route}`, mimeType: "application/json", maxTimeoutSeconds: 60 },
  }]));
  return paymentMiddlewareV1(PAYEE[1], routes, { url: facilitatorUrl });
}

async function receive(request) {
  const hash = createHash("sha256");
  let length = 0;
  for await (const chunk of request) {
    hash.update(chunk);
    length += chunk.length;
  }
  return { sha256: hash.digest("hex"), length };
}

function application(paywall, chain, exchanges) {
  const app = express();
  app.disable("x-powered-by");
  app.use((request, _response, next) => {
    const payment = request.get("payment-signature") ?? request.get("x-payment");
    exchanges.push({ method: request.method, path: request.path, payment, expect: request.get("expect") });
    next();
  });
  app.post("/upload", async (request, _response, next) => {
    request.received = await receive(request);
    next();
  });
  app.use(paywall);
  app.get("/free", (_request, response) => response.json({ free: true }));
  app.get("/weather", (_request, response) => response.json({ weather: "sunny", celsius: 21 }));
  app.get("/drained", async (_request, response) => {
    await chain.setBalance(PAYER.address, 0n);
    response.json({ drained: true });
  });
  app.get(["/permit2", "/permit2-permit", "/solana"], (_request, response) => response.json({ weather: "sunny", celsius: 21 }));
  app.get("/upto", (_request, response) => {
    setSettlementOverrides(response, { amount: String(PRICE.taken.amount) });
    response.json({ tokens: 17 });
  });
  app.post("/upload", (request, response) => response.json(request.received));
  app.post("/upload-early", async (request, response) => response.json(await receive(request)));
  app.post("/upload-continue", async (request, response) => {
    if (request.get("expect")) response.writeContinue();
    response.json(await receive(request));
  });
  return app;
}

/** `exchanges`: the requests as they arrived. `bytesIn()`: the bytes that arrived, heads and framing included. */
export async function startServer(protocol, facilitatorUrl, chain) {
  const exchanges = [];
  const hints = {};
  const paywall = protocol === 1 ? paywallV1(facilitatorUrl) : paywallV2(facilitatorUrl, hints);
  const app = application(paywall, chain, exchanges);
  const server = createServer(app);
  server.on("checkContinue", (request, response) => {
    if (request.url !== "/upload-continue") response.writeContinue();
    app(request, response);
  });
  const sockets = [];
  server.on("connection", (socket) => sockets.push(socket));
  const bytesIn = () => sockets.reduce((sum, socket) => sum + socket.bytesRead, 0);
  return { ...(await listen(server)), protocol, exchanges, bytesIn, hints };
}
