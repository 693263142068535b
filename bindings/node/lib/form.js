'use strict';
/* form.js: a FormData as bytes of multipart/form-data (RFC 7578, as WHATWG's fetch writes it). The boundary comes from the
 * parts and not from chance: a purchase is known again by its body, so that the same form sent again presents the same
 * payment. */
const crypto = require('node:crypto');

/* 45 characters of the alphabet of boundaries, of which 70 are allowed. */
const BOUNDARY_BYTES = 20;

const lines = (text) => text.replace(/\r\n|\r|\n/g, '\r\n');
const quoted = (name) => name.replace(/\n/g, '%0A').replace(/\r/g, '%0D').replace(/"/g, '%22');

/* [head, content] of one part. */
async function partOf([name, value]) {
  const head = `Content-Disposition: form-data; name="${quoted(lines(name))}"`;
  if (typeof value === 'string') return [`${head}\r\n\r\n`, Buffer.from(lines(value))];
  const type = value.type || 'application/octet-stream';
  const file = `${head}; filename="${quoted(value.name)}"\r\nContent-Type: ${type}\r\n\r\n`;
  return [file, Buffer.from(await value.arrayBuffer())];
}

/** {bytes, type}: what to send, and its Content-Type. */
async function multipart(form) {
  const parts = [];
  for (const entry of form) parts.push(await partOf(entry));
  const hash = crypto.createHash('sha256');
  for (const [head, content] of parts) hash.update(`${Buffer.byteLength(head)} ${content.length} `).update(head).update(content);
  const boundary = `x402-${hash.digest('hex').slice(0, 2 * BOUNDARY_BYTES)}`;
  const pieces = parts.flatMap(([head, content]) => [Buffer.from(`--${boundary}\r\n${head}`), content, Buffer.from('\r\n')]);
  return { bytes: Buffer.concat([...pieces, Buffer.from(`--${boundary}--\r\n`)]), type: `multipart/form-data; boundary=${boundary}` };
}

module.exports = { multipart };
