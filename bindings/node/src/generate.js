'use strict';
/* generate.js: reads x402.h and says how each of its functions is called. Both back ends are made from that, so that a
 * function of the header cannot be missing in one of them. Knows the header's style, nothing else. */
const fs = require('node:fs');
const path = require('node:path');

/* A package has a copy of its own. In the repository there is one for all languages, which counts although packing may have
 * left a copy behind. */
const ROOT = path.join(__dirname, '..');
const FOLDERS = [path.join(ROOT, 'include')];
if (ROOT.endsWith(path.join('bindings', 'node'))) FOLDERS.unshift(path.join(ROOT, '../../include'));
const folder = FOLDERS.find((one) => fs.existsSync(path.join(one, 'x402.h')));
if (!folder) throw new Error(`x402.h is not in ${FOLDERS.join(' or ')}: packing the package puts it there`);

/* One letter for each parameter: h handle, s text in, b bytes, l their length, a list of texts, n the count of the two lists
 * before it, o output of 8 bytes, e event, u unsigned, i signed, f callback, d its userdata. Of results also v: none. */
function kindOf(type) {
  if (/_fn$/.test(type)) return 'f';
  if (type === 'void *') return 'd';
  if (type === 'void') return 'v';
  if (/^(x402_status|x402_money|int32_t)$/.test(type)) return 'i';
  if (/^(size_t|uint(8|16|32|64)_t)$/.test(type)) return 'u';
  if (type === 'const char *const *') return 'a';
  if (type === 'const char *') return 's';
  if (type === 'x402_event *') return 'e';
  if (/^(const )?uint8_t \*$/.test(type)) return 'b';
  if (/^(const )?x402_\w+ \*$/.test(type)) return 'h';
  if (/^((const )?\w+ \*\*|size_t \*|char \*\*)$/.test(type)) return 'o';
  throw new Error(`x402.h has a type that generate.js does not know: ${type}`);
}

/* What it means where it stands. */
function kindsOf(name, list) {
  // x402_string_free takes what an output gave: an address, not a text to copy.
  const kinds = list.map((one) => (name === 'x402_string_free' ? 'd' : kindOf(one.type)));
  return kinds.map((kind, index) => {
    if (kind === 'u' && kinds[index - 1] === 'b') return 'l';
    if (kind === 'u' && kinds[index - 1] === 'a' && kinds[index - 2] === 'a') return 'n';
    return kind;
  }).join('');
}

function functionsOf(header) {
  const found = [];
  for (const [, result, name, parameters] of header.matchAll(/^X402_API ([\w ]+[ *])(x402_\w+)\(([^)]*)\);/gm)) {
    const list = parameters.trim() === 'void' ? [] : parameters.split(',').map((one) => {
      const [, type, called] = one.trim().replace(/\s+/g, ' ').match(/^(.*?[ *])(\w+)$/);
      return { type: type.trim(), name: called };
    });
    found.push({ name, result: kindOf(result.trim()), takes: kindsOf(name, list), parameters: list });
  }
  if (found.length < 50) throw new Error(`only ${found.length} functions were found in x402.h`);
  return found;
}

/* What ends with its environment (owned.c). */
const NOUNS = ['queue', 'response', 'payment', 'request', 'client', 'ledger'];

/* The noun that a function makes, and which parameter it is written to; whether it frees one. */
function ownership(name, parameters) {
  const makes = (one) => NOUNS.find((noun) => one.type === `x402_${noun} **`) ?? (one.type === 'x402_event *' && 'event');
  const output = parameters.findIndex(makes);
  const noun = output < 0 ? '0' : `NOUN_${makes(parameters[output]).toUpperCase()}`;
  return `${noun}, ${Math.max(output, 0)}, ${Number(NOUNS.some((one) => name === `x402_${one}_free`))}`;
}

/** For calls.c: a function for each, which takes its arguments out of a call; and a table of them. */
function forC(functions) {
  const argument = (one, index, kind) => {
    const value = `c->arguments[${index}]`;
    if (kind === 'f') return `${value}.pointer ? on_${one.type.slice(5, -3)} : NULL`;
    if ('uiln'.includes(kind)) return `(${one.type})${value}.number`;
    return kind === 'd' ? `${value}.pointer` : `(${one.type})${value}.pointer`;
  };
  const lines = ['/* Made by generate.js from x402.h. */'];
  for (const { name, result, takes, parameters } of functions) {
    const call = `${name}(${parameters.map((one, index) => argument(one, index, takes[index])).join(', ')})`;
    const kept = { v: `${call};`, i: `c->result.number = (uint64_t)(int64_t)${call};`, u: `c->result.number = ${call};` };
    lines.push(`static void run_${name}(call *c) { (void)c; ${kept[result] || `c->result.pointer = (void *)${call};`} }`);
  }
  lines.push('const function functions[] = {');
  for (const { name, result, takes, parameters } of functions) {
    const request = name.startsWith('x402_client_') ? parameters.findIndex((one) => one.type === 'x402_request *') : -1;
    lines.push(`    {"${name}", "${takes}", '${result}', ${request}, ${ownership(name, parameters)}, run_${name}},`);
  }
  return lines.concat('};', '').join('\n');
}

const read = () => functionsOf(fs.readFileSync(path.join(folder, 'x402.h'), 'utf8'));
/** For ffi.js: name to [result, takes]. */
const table = (functions) =>
  `{\n${functions.map((one) => `  "${one.name}": ["${one.result}", "${one.takes}"]`).join(',\n')}\n}\n`;

module.exports = { folder, forC, read, table };
if (require.main === module) fs.writeFileSync(path.join(ROOT, 'lib/functions.json'), table(read()));
