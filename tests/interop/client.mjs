// Runs the client under test: a command that gets METHOD URL [UPLOAD_BYTES], makes that one call, paying
// if asked, and prints one line of JSON with status, money, amount, transaction, refusal and body.
import { spawn } from "node:child_process";

const CALL_MS_MAX = 30_000;
const OUTPUT_BYTES_MAX = 1024 * 1024;
const running = new Set();

export function stopClients() {
  for (const child of running) child.kill("SIGKILL");
}

export function runClient(command, { key, solanaKey, protocol, method, url, uploadBytes, node, solanaNode, spareNode }) {
  const [program, ...leading] = command;
  const args = [...leading, method, url, ...(uploadBytes === undefined ? [] : [String(uploadBytes)])];
  const env = {
    ...process.env, X402_INTEROP_KEY: key, X402_INTEROP_SOLANA_KEY: solanaKey, X402_INTEROP_PROTOCOL: String(protocol),
    X402_INTEROP_NODE: node, X402_INTEROP_SOLANA_NODE: solanaNode, X402_INTEROP_SOLANA_SPARE_NODE: spareNode,
  };
  const child = spawn(program, args, { env, stdio: ["ignore", "pipe", "pipe"] });
  running.add(child);
  return new Promise((resolve, reject) => {
    const output = { stdout: "", stderr: "" };
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      child.kill("SIGKILL");
    }, CALL_MS_MAX);
    for (const name of ["stdout", "stderr"]) {
      child[name].on("data", (chunk) => {
        if (output[name].length < OUTPUT_BYTES_MAX) output[name] += chunk;
      });
    }
    const finish = () => {
      clearTimeout(timer);
      running.delete(child);
    };
    child.once("error", (error) => {
      finish();
      reject(error);
    });
    child.once("close", (code, signal) => {
      finish();
      if (late) return reject(new Error(`the client did not end within ${CALL_MS_MAX} ms`));
      if (code !== 0) return reject(new Error(`the client ended with ${code ?? signal}: ${tail(output)}`));
      return parse(output, resolve, reject);
    });
  });
}

function parse(output, resolve, reject) {
  const lines = output.stdout.trimEnd().split("\n");
  try {
    if (lines.length !== 1) throw new Error(`${lines.length} lines`);
    resolve(JSON.parse(lines[0]));
  } catch (error) {
    reject(new Error(`the client must print one line of JSON (${error.message}): ${tail(output)}`));
  }
}

const tail = ({ stdout, stderr }) => (stderr + stdout).trim().slice(-600);
