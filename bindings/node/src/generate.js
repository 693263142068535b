'use strict';
/* generate.js: reads include/x402.h and says how each of its functions is called. Both back ends are made from that, so
 * that a function of the header cannot be missing in one of them. Knows the header's style, nothing else. */
const fs = require('node:fs');
const path = require('node:path');

const HEADER = path.join(__dirname, '../../../include/x402.h');

/* One letter for each parameter: h handle, s text in, b bytes or outputs, u unsigned, i signed, a list of texts,
 * f callback, d its userdata. Of results also v: none. */
function kindOf(type) {
  if (/_fn$/.test(type)) return 'f';
  if (type === 'void *') return 'd';
  if (type === 'void') return 'v';
  if (/^(x402_status|x402_money|int32_t)$/.test(type)) return 'i';
  if (/^(size_t|uint(8|16|32|64)_t)$/.test(type)) return 'u';
  if (type === 'const char *const *') return 'a';
  if (type === 'const char *') return 's';
  if (/^(const )?x402_(?!event)\w+ \*$/.test(type)) return 'h';
  if (/\*$/.test(type)) return 'b';
  throw new Error(`x402.h has a type that generate.js does not know: ${type}`);
}

function functionsOf(header) {
  const found = [];
  for (const [, result, name, parameters] of header.matchAll(/^X402_API ([\w ]+[ *])(x402_\w+)\(([^)]*)\);/gm)) {
    const list = parameters.trim() === 'void' ? [] : parameters.split(',').map((one) => {
      const [, type, called] = one.trim().replace(/\s+/g, ' ').match(/^(.*?[ *])(\w+)$/);
      return { type: type.trim(), name: called };
    });
    // An x402_string_free takes what an output gave: an address, not a text to copy.
    const kinds = list.map((one) => (name === 'x402_string_free' ? 'd' : kindOf(one.type)));
    found.push({ name, result: kindOf(result.trim()), takes: kinds.join(''), parameters: list });
  }
  if (found.length < 50) throw new Error(`only ${found.length} functions were found in x402.h`);
  return found;
}

function forC(functions) {
  const argument = (one, index, name) => {
    const value = `c->arguments[${index}]`;
    if (one.type.endsWith('_fn')) return `${value}.pointer ? on_${one.type.slice(5, -3)} : NULL`;
    if (name === 'x402_string_free') return `${value}.pointer`;
    const kind = kindOf(one.type);
    if (kind === 'u' || kind === 'i') return `(${one.type})${value}.number`;
    return `(${one.type})${value}.pointer`;
  };
  const lines = ['/* Made by generate.js from include/x402.h. */'];
  for (const { name, result, parameters } of functions) {
    const call = `${name}(${parameters.map((one, index) => argument(one, index, name)).join(', ')})`;
    const kept = { v: `${call};`, i: `c->result.number = (uint64_t)(int64_t)${call};`, u: `c->result.number = ${call};` };
    lines.push(`static void run_${name}(call *c) { (void)c; ${kept[result] || `c->result.pointer = (void *)${call};`} }`);
  }
  lines.push('static const function functions[] = {');
  for (const { name, result, takes } of functions) lines.push(`    {"${name}", "${takes}", '${result}', run_${name}},`);
  return lines.concat('};', '').join('\n');
}

const read = (header = HEADER) => functionsOf(fs.readFileSync(header, 'utf8'));
/** For ffi.js: name to [result, takes]. */
const table = (functions) =>
  `{\n${functions.map((one) => `  "${one.name}": ["${one.result}", "${one.takes}"]`).join(',\n')}\n}\n`;

module.exports = { read, forC, table };
if (require.main === module) fs.writeFileSync(path.join(__dirname, '../lib/functions.json'), table(read()));
