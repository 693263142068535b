-- Version 2.

-- 1: more than one call presented the payment. That one of them never left, or was turned down, says nothing of the others.
ALTER TABLE entries ADD COLUMN shared INTEGER NOT NULL DEFAULT 0;

-- 1: what is signed lets the payee take money for as long as there is a channel: no time makes it void.
ALTER TABLE entries ADD COLUMN lasting INTEGER NOT NULL DEFAULT 0;

-- Payment channels (x402, scheme batch-settlement). Money leaves the payer's account for a channel when it is
-- deposited, and that is what counts; a voucher then says how much of the channel is the payee's in all. Of an entry
-- that draws from a channel, counted is the deposit, 0 where nothing was deposited.

-- One row a channel. Withdrawals are not seen here.
CREATE TABLE channels (
  channel    TEXT PRIMARY KEY, -- its name: the digest of its terms, 0x and 64 digits
  payer      TEXT NOT NULL,
  payee      TEXT NOT NULL,    -- network:address
  unit       TEXT NOT NULL,    -- as in entries
  balance    TEXT NOT NULL,    -- deposits that a receipt, or else the chain or a server that proved the rest, acknowledged
  charged    TEXT NOT NULL,    -- what the payee charged of it, as last acknowledged
  signed_max TEXT NOT NULL,    -- the most that any voucher lets the payee have of it
  doubted    INTEGER NOT NULL, -- 1: a server says that this is not so, and proves nothing
  holder     INTEGER NOT NULL  -- the entry that had it in hand last: nobody else uses it while that is in flight
) STRICT, WITHOUT ROWID;

-- What an entry draws from a channel: its voucher is made from this and from what stands in entries. Written with the
-- entry, and never changed.
CREATE TABLE draws (
  entry         INTEGER PRIMARY KEY,
  channel       TEXT NOT NULL,
  salt          INTEGER NOT NULL, -- 0, 1, ...: tells the channel from others with the same terms
  charged       TEXT NOT NULL,    -- what was charged before
  claimable     TEXT NOT NULL,    -- what the voucher says: charged and the price
  deposit       TEXT NOT NULL,    -- what is deposited beside it, '0' for nothing
  signed_before TEXT              -- signed_max before; NULL: the channel was not known
) STRICT;
