// A local chain with Base Sepolia's id, a dollar with EIP-3009 at the address that USDC has there, and what stands for
// Permit2 and x402's contracts before it at theirs.
// Owns the chain's process and everything read from it. Knows nothing of HTTP or of x402.
//
// The chain mines a block each second besides one for each transaction: a chain that only mines when
// there is a transaction keeps an old clock, and a call that simulates a payment against it finds the
// authorization "not yet valid".
import { spawn } from "node:child_process";
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";
import {
  createPublicClient, createTestClient, defineChain, encodeAbiParameters, getAddress, http, keccak256, pad,
  parseAbi, parseEventLogs, toHex,
} from "viem";
import { PERMIT2_ADDRESS, x402ExactPermit2ProxyAddress, x402UptoPermit2ProxyAddress } from "@x402/evm";
import { DOLLAR } from "./world.mjs";

const require = createRequire(import.meta.url);
const START_MS_MAX = 15_000;
const MULTICALL = "0xcA11bde05977b3631167028862bE2a173976CA11";
const ABI = parseAbi([
  "function balanceOf(address) view returns (uint256)",
  "function authorizationState(address, bytes32) view returns (bool)",
  "function allowance(address, address) view returns (uint256)",
  "event Transfer(address indexed from, address indexed to, uint256 value)",
  "event AuthorizationUsed(address indexed authorizer, bytes32 indexed nonce)",
]);

const PERMIT2_ABI = parseAbi(["function nonceBitmap(address, uint256) view returns (uint256)"]);

const PROGRAM = "@foundry-rs/anvil-linux-amd64/bin/anvil";

function compile() {
  const solc = require("solc");
  const source = readFileSync(new URL("contracts.sol", import.meta.url), "utf8");
  const output = JSON.parse(solc.compile(JSON.stringify({
    language: "Solidity",
    sources: { "contracts.sol": { content: source } },
    settings: {
      optimizer: { enabled: true, runs: 200 },
      evmVersion: "cancun",
      outputSelection: { "*": { "*": ["evm.deployedBytecode.object"] } },
    },
  })));
  const wrong = (output.errors ?? []).filter((each) => each.severity === "error");
  if (wrong.length) throw new Error(wrong.map((each) => each.formattedMessage).join("\n"));
  const code = (name) => `0x${output.contracts["contracts.sol"][name].evm.deployedBytecode.object}`;
  return {
    [DOLLAR.address]: code("Dollar"), [MULTICALL]: code("Calls"), [PERMIT2_ADDRESS]: code("Permits"),
    [x402ExactPermit2ProxyAddress]: code("SettlesExact"), [x402UptoPermit2ProxyAddress]: code("SettlesUpTo"),
  };
}

// The shell between us and the chain ends it when our end of the pipe closes, so that the chain does not
// outlive this process however this process ends; and it ends itself when the chain does.
function launch() {
  const watch = 'exec 3<&0; "$0" "$@" 3<&- </dev/null & child=$!; '
    + '{ cat <&3; kill "$child"; } >/dev/null 2>&1 & wait "$child"';
  return spawn("/bin/sh", [
    "-c", watch, require.resolve(PROGRAM), "--host", "127.0.0.1", "--port", "0", "--chain-id", String(DOLLAR.chainId),
    "--block-time", "1", "--mixed-mining",
  ], { stdio: ["pipe", "pipe", "inherit"] });
}

function listening(child) {
  return new Promise((resolve, reject) => {
    let text = "";
    const late = setTimeout(() => reject(new Error(`the chain did not start: ${text}`)), START_MS_MAX);
    child.once("error", reject);
    child.once("exit", (code) => reject(new Error(`the chain ended with ${code}: ${text}`)));
    child.stdout.on("data", (chunk) => {
      if (text.length < 65_536) text += chunk;
      const found = /Listening on 127\.0\.0\.1:(\d+)/.exec(text);
      if (!found) return;
      clearTimeout(late);
      resolve(`http://127.0.0.1:${found[1]}`);
    });
  });
}

export async function startChain() {
  const child = launch();
  const stop = () => child.stdin.destroy();
  try {
    return await furnish(await listening(child), stop);
  } catch (error) {
    stop();
    throw error;
  }
}

async function furnish(url, stop) {
  const chain = defineChain({
    id: DOLLAR.chainId,
    name: "local",
    nativeCurrency: { name: "Ether", symbol: "ETH", decimals: 18 },
    rpcUrls: { default: { http: [url] } },
  });
  const transport = http(url);
  const reader = createPublicClient({ chain, transport, pollingInterval: 50, cacheTime: 0 });
  const writer = createTestClient({ chain, transport, mode: "anvil" });
  for (const [address, bytecode] of Object.entries(compile())) await writer.setCode({ address, bytecode });

  const read = (functionName, args) =>
    reader.readContract({ address: DOLLAR.address, abi: ABI, functionName, args });
  const store = (slot, value) =>
    writer.setStorageAt({ address: DOLLAR.address, index: slot, value: pad(toHex(value)) });
  const entry = (key, slot) => keccak256(encodeAbiParameters([{ type: "address" }, { type: "bytes32" }], [key, slot]));
  return {
    url,
    chain,
    transport,
    stop,
    balance: (account) => read("balanceOf", [account]),
    nonceUsed: (account, nonce) => read("authorizationState", [account, nonce]),
    setBalance: (account, amount) => store(entry(account, pad("0x0")), amount),
    /** How much Permit2 may move of an account. */
    allowance: (account) => read("allowance", [account, PERMIT2_ADDRESS]),
    setAllowance: (account, amount) => store(entry(PERMIT2_ADDRESS, entry(account, pad("0x2"))), amount),
    /** Whether a signature for Permit2 was used: a bit for each nonce. */
    async permitUsed(account, nonce) {
      const args = [account, BigInt(nonce) >> 8n];
      const bits = await reader.readContract({ address: PERMIT2_ADDRESS, abi: PERMIT2_ABI, functionName: "nonceBitmap", args });
      return ((bits >> (BigInt(nonce) & 255n)) & 1n) === 1n;
    },
    /** The transfers and used nonces of one transaction, and whether the chain took it. */
    async transaction(hash) {
      const receipt = await reader.getTransactionReceipt({ hash });
      const logs = receipt.logs.filter((log) => getAddress(log.address) === DOLLAR.address);
      return { status: receipt.status, events: parseEventLogs({ abi: ABI, logs }) };
    },
    /** Every transfer since the chain began. */
    transfers: () => reader.getContractEvents({
      address: DOLLAR.address, abi: ABI, eventName: "Transfer", fromBlock: 0n, toBlock: "latest",
    }),
  };
}
