'use strict';
/* leftOut.js: which cases ffi-napi cannot express, each with its reason: it has no callbacks, because the library's come from
 * threads of its own. */
const REASONS = {
  approve: 'the library asks JavaScript before it pays',
  reader: 'the library pulls the body from JavaScript',
  progress: 'the library tells JavaScript how far it has come',
};

/** The reason why a case is left out; undefined if it is not. */
function leftOut({ client, requests }) {
  if (client?.policy?.approve !== undefined) return REASONS.approve;
  if (requests.some((one) => one.body?.reader)) return REASONS.reader;
  if (requests.some((one) => one.stop_progress_at !== undefined && one.stop_progress_at !== null)) return REASONS.progress;
  return undefined;
}

module.exports = { leftOut };
