// Starts chain, facilitator and servers, lets the client pay, and reports a line for each check.
//   node suite.mjs CLIENT [ARGUMENT...]
import { startChain } from "./chain.mjs";
import { CLOSING_CHECKS, SERVER_CHECKS, V2_CHECKS } from "./checks.mjs";
import { runClient, stopClients } from "./client.mjs";
import { startFacilitator } from "./facilitator.mjs";
import { startServer } from "./servers.mjs";
import { startSolana } from "./solana.mjs";
import { PAYER, PAYER_FUNDS, SOLANA_FACILITATOR, SOLANA_PAYEE, SOLANA_PAYER } from "./world.mjs";

const SUITE_MS_MAX = 300_000;
const MIDDLEWARE = { 2: "@x402/express 2.27.0", 1: "x402-express 1.2.0" };
const stops = [stopClients];

function end(code) {
  for (const stop of stops.reverse()) stop();
  process.exit(code);
}

const tally = { passed: 0, failed: 0 };
async function check(name, run) {
  const began = performance.now();
  const took = () => `${Math.round(performance.now() - began)} ms`;
  try {
    const detail = await run();
    tally.passed += 1;
    console.log(`ok      ${name}: ${detail} (${took()})`);
  } catch (error) {
    tally.failed += 1;
    console.log(`not ok  ${name}: ${error.message.replaceAll("\n", " ")} (${took()})`);
  }
}

async function main(command) {
  const chain = await startChain();
  stops.push(chain.stop);
  await chain.setBalance(PAYER.address, PAYER_FUNDS);
  const solana = await startSolana([[SOLANA_PAYER.address, PAYER_FUNDS], [SOLANA_PAYEE, 0n]], SOLANA_FACILITATOR.address);
  stops.push(solana.stop);
  const facilitator = await startFacilitator(chain, solana);
  stops.push(facilitator.stop);
  const context = {
    chain, solana, facilitator, settled: [], captured: {},
    client: (options) => runClient(command, options),
  };
  for (const protocol of [2, 1]) {
    const server = await startServer(protocol, facilitator.url, chain);
    stops.push(server.stop);
    for (const [name, run] of [...SERVER_CHECKS, ...(protocol === 2 ? V2_CHECKS : [])]) {
      const funds = await chain.balance(PAYER.address);
      await check(`v${protocol}, ${MIDDLEWARE[protocol]}: ${name}`, () => run({ ...context, funds: () => funds }, server));
    }
  }
  for (const [name, run] of CLOSING_CHECKS) await check(name, () => run(context));
  console.log(`${tally.passed} passed, ${tally.failed} failed`);
  return tally.failed === 0 ? 0 : 1;
}

const command = process.argv.slice(2);
if (command.length === 0) {
  console.error("usage: node suite.mjs CLIENT [ARGUMENT...]");
  process.exit(2);
}
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.once(signal, () => end(130));
setTimeout(() => {
  console.error(`the suite did not end within ${SUITE_MS_MAX} ms`);
  end(1);
}, SUITE_MS_MAX).unref();
main(command).then(end, (error) => {
  console.error(error);
  end(1);
});
