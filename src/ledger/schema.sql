-- The ledger of libx402: what was promised, and what became of it. Look at it freely with the sqlite3 shell
-- (.schema shows these comments); change it with x402_ledger_abandon only. Amounts are decimal text in atomic units
-- of their asset: they can be larger than any integer of SQLite.

-- One row a signature. A row is written, durably, before its signature is made.
CREATE TABLE entries (
  id             INTEGER PRIMARY KEY AUTOINCREMENT,
  state          TEXT NOT NULL CHECK (state IN (
                   'open',        -- in flight, or its process died: counts as sent
                   'unknown',     -- sent, and no receipt says paid: counts
                   'paid',        -- a receipt says paid: counts
                   'released',    -- never left the machine: does not count
                   'abandoned')), -- an operator gave it up: does not count
  at_s           INTEGER NOT NULL, -- seconds since 1970 that windows count from; never goes back from row to row
  host           TEXT NOT NULL,    -- host:port that asked
  payee          TEXT NOT NULL,    -- network:address, as budgets of scope payee count it
  unit           TEXT NOT NULL,    -- network/erc20:contract or network/token:address
  amount         TEXT NOT NULL,    -- what is signed: the most that can be taken
  counted        TEXT NOT NULL,    -- what counts: less only where a receipt said so and the policy believes such receipts
  purchase       TEXT,             -- digest of the caller's purchase_key, or of method, URL and body; NULL: neither, or over
  named          INTEGER NOT NULL, -- 1: the caller gave a purchase_key
  refusal        INTEGER NOT NULL, -- 0: not turned down; 1: by a 402; 2: by a 402 whose code precedes settlement
  transaction_id TEXT NOT NULL,    -- as the receipt claims; '' without one
  owner          TEXT NOT NULL,    -- the process in whose hands the row is: boot, namespace, pid, start; '': in nobody's
  -- What the same signature is made from again. Wiped when the row can never be presented again: a paid row without a name
  -- once its answer was handed over.
  payer          TEXT NOT NULL,
  signed_s       INTEGER NOT NULL, -- seconds since 1970
  valid_before_s INTEGER NOT NULL, -- seconds since 1970 from which on the signature is void
  nonce          BLOB,             -- 32 bytes
  terms          TEXT,             -- the chosen offer, the resource and the extensions, verbatim, as a challenge
  facts          TEXT              -- what a node said of the chain before, as JSON; '' where nothing was asked
) STRICT;
CREATE INDEX entries_by_time ON entries (at_s);
CREATE INDEX entries_by_purchase ON entries (purchase) WHERE purchase IS NOT NULL;

-- What counts, added up: for budgets that never end.
CREATE TABLE totals (
  scope  TEXT NOT NULL, -- all, host, payee
  key    TEXT NOT NULL, -- '' for all
  unit   TEXT NOT NULL,
  amount TEXT NOT NULL,
  PRIMARY KEY (scope, key, unit)
) STRICT, WITHOUT ROWID;

-- One row: how often this file was opened, and the latest time seen.
CREATE TABLE openings (
  only     INTEGER PRIMARY KEY CHECK (only = 1),
  count    INTEGER NOT NULL,
  latest_s INTEGER NOT NULL
) STRICT;
INSERT INTO openings VALUES (1, 0, 0);
