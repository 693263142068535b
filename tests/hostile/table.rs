//! The table: what a server does, what it comes to, and where that is shown.
//!
//! Owns the rows and their words; running them is the test's. Amounts are atomic units of a dollar token of six
//! decimals: 10000 is one cent.

use super::{Seen, in_process};

/// Failure modes S1 to this number.
pub const MODES: usize = 27;

pub struct Row {
    pub id: &'static str,
    /// What the server, or whoever stands in for it, does.
    pub does: &'static str,
    pub outcome: Outcome,
    pub shown: Shown,
    /// What no client can know or prevent here, and what bounds the loss; "" where nothing stays open.
    #[allow(dead_code)] // For who reads the table.
    pub limit: &'static str,
}

pub struct Outcome {
    /// Different signatures that left the client.
    pub signatures: u64,
    /// Their sum, atomic units.
    pub signed: u128,
    pub settled: u64,
    /// Where the money is after each call.
    pub money: &'static [&'static str],
    /// All of it is in the refusals, error messages and notes that the caller sees.
    pub says: &'static [&'static str],
}

pub enum Shown {
    /// `tests/cases/NAME.json`, run by every language.
    Case(&'static str),
    /// A function here, where a case cannot say it.
    Here(fn() -> Seen),
}

use Shown::{Case, Here};

type Texts = &'static [&'static str];

/// Nothing was signed.
const fn nothing(money: Texts, says: Texts) -> Outcome {
    Outcome { signatures: 0, signed: 0, settled: 0, money, says }
}

/// So many payments of one cent, of which so many were settled.
const fn cents(signatures: u64, settled: u64, money: Texts, says: Texts) -> Outcome {
    Outcome { signatures, signed: signatures as u128 * 10_000, settled, money, says }
}

const fn row(id: &'static str, does: &'static str, outcome: Outcome, shown: Shown) -> Row {
    Row { id, does, outcome, shown, limit: "" }
}

impl Row {
    const fn but(self, limit: &'static str) -> Row {
        Row { limit, ..self }
    }
}

const NONE: Texts = &["none"];
const REFUSED: Texts = &["refused"];
const UNKNOWN: Texts = &["unknown"];
const PAID: Texts = &["paid"];
const PAID_THEN_REFUSED: Texts = &["paid", "refused"];
const TWICE_THEN_REFUSED: Texts = &["paid", "paid", "refused"];
const THRICE_PAID: Texts = &["paid", "paid", "paid"];
const THRICE_THEN_REFUSED: Texts = &["unknown", "unknown", "unknown", "refused", "refused", "refused"];

const CALLS: &str = "One call signs once. Another call is another purchase, with a signature of its own: after \
                     `unknown` the caller decides, and the budgets count every signature.";
const CLAIM: &str =
    "A receipt is the server's claim; what is true stands on the chain. The budgets count what was signed.";

#[rustfmt::skip]
pub const ROWS: &[Row] = &[
    row("S1", "settles and closes without an answer, again and again", cents(1, 1, UNKNOWN, &["no answer came"]), Case("lost-answer")).but(CALLS),
    row("S1", "settles and closes a reused connection, then answers", cents(1, 1, PAID, &[]), Case("lost-answer-same-bytes-again")),
    row("S1", "settles and resets the connection", cents(1, 1, UNKNOWN, &["no answer came"]), Case("lost-answer-reset")).but(CALLS),
    row("S1", "settles and says nothing until the client gives up", cents(1, 1, UNKNOWN, &["first_byte_timeout_ms"]), Case("lost-answer-timeout")).but(CALLS),
    row("S1", "settles and answers with garbage", cents(1, 1, UNKNOWN, &["no answer came"]), Case("lost-answer-garbage")).but(CALLS),
    row("S1", "answers 402 to the payment as well", cents(1, 0, UNKNOWN, &["insufficient_funds"]), Case("second-402")).but(CALLS),
    row("S1", "answers 402 to everything, call after call", cents(3, 0, THRICE_THEN_REFUSED, &["payment required", "all budget of 0.03 USD"]), Case("hostile-402-loop")).but(CALLS),

    row("S2", "asks more than a payment may cost", nothing(REFUSED, &["max_per_payment allows 1.00 USD"]), Case("policy-default-limit")),
    row("S2", "asks 2^256 - 1 of a token of 6 decimals", nothing(REFUSED, &["max_per_payment allows 1.00 USD"]), Case("hostile-sky-high-amount")),
    row("S2", "asks 2^256 - 1 of another token on another network", nothing(REFUSED, &["max_per_payment allows 1.00 USD"]), Case("hostile-sky-high-amount-of-another-token")),
    row("S2", "asks more dollars than can be counted of a client without a limit in dollars", nothing(REFUSED, &["all budget of 10.00 USD"]), Case("hostile-amount-beyond-dollars")),
    row("S2", "asks 2^256, which no balance holds", nothing(REFUSED, &["amount"]), Case("challenge-amount-overflow")),
    row("S2", "asks more of a Solana token than its 64 bits count", nothing(REFUSED, &["amount is 18446744073709551617"]), Case("hostile-solana-amount")),
    row("S2", "asks a negative amount", nothing(REFUSED, &["amount"]), Case("challenge-amount-negative")),
    row("S2", "asks an amount with a leading zero", nothing(REFUSED, &["amount"]), Case("challenge-amount-leading-zero")),
    row("S2", "asks a fraction of an atomic unit", nothing(REFUSED, &["amount"]), Case("challenge-amount-fraction")),
    row("S2", "asks an amount as a JSON number", nothing(REFUSED, &["amount"]), Case("challenge-amount-number")),
    row("S2", "asks an amount with an exponent", nothing(REFUSED, &["amount"]), Case("challenge-amount-exponent")),

    row("S3", "raises the price with every call, each below the limit", Outcome { signatures: 2, signed: 30_000, settled: 2, money: TWICE_THEN_REFUSED, says: &["host budget of 0.05 USD in 3600 s"] }, Case("hostile-rising-prices"))
        .but("No rule compares a price with the last one; the budgets over time and host bound what is taken."),

    row("S3", "raises the price while a payment is in the open", cents(1, 1, &["unknown", "unknown", "unknown"], &["asks for 10001 atomic units", "10000 atomic units of"]), Case("repeat-price-rose")),
    row("S4", "asks a higher price after the signature", cents(1, 0, UNKNOWN, &["the price rose"]), Case("second-402-other-price")),
    row("S4", "names another payee, asset, network or a lower price after the signature", cents(4, 0, &["unknown", "unknown", "unknown", "unknown"], &["other terms"]), Case("hostile-second-402-other-terms")),
    row("S4", "shows one price to a quote and asks another of the call", nothing(&["none", "refused"], &["asks 0.90 USD", "max_per_payment allows 0.05 USD"]), Case("hostile-quote-then-dearer")),

    row("S5", "puts a cheap offer in front of the one that can be paid", nothing(REFUSED, &["offer 3", "max_per_payment allows 1.00 USD"]), Case("hostile-cheap-first-offer")),
    row("S5", "writes two amounts into one offer", nothing(REFUSED, &["amount appears twice"]), Case("hostile-amount-twice")),
    row("S5", "sends two headers with terms", nothing(REFUSED, &["PAYMENT-REQUIRED header is malformed"]), Case("hostile-two-challenges")),

    row("S6", "asks for a token that nobody knows", nothing(REFUSED, &["not a known dollar asset"]), Case("policy-unknown-asset")),
    row("S6", "lets a token pose as USDC", nothing(REFUSED, &["is not among those allowed"]), Case("hostile-fake-usdc")),
    row("S6", "names the USDC contract of another network", nothing(REFUSED, &["not a known dollar asset"]), Case("hostile-usdc-of-another-network")),
    row("S6", "offers the mint of real dollars as a token of a test network", nothing(REFUSED, &["asset is USDC of solana:5eykt4"]), Case("hostile-solana-other-cluster")),
    row("S6", "gives a known token another name to sign", nothing(REFUSED, &["extra.name", "signs with \"USDC\""]), Case("policy-known-asset-other-name")),
    row("S6", "claims 18 decimals to make five dollars look small", nothing(REFUSED, &["asks 5.00 USD"]), Case("hostile-wrong-decimals")),
    row("S6", "claims 18 decimals to slip under the budget", cents(1, 1, PAID_THEN_REFUSED, &["asks 0.01 USD", "all budget of 0.01 USD"]), Case("hostile-wrong-decimals-of-a-small-price")),

    row("S7", "offers to sponsor an approval", cents(1, 1, PAID, &[]), Case("hostile-approval-extensions")),
    row("S7", "offers to sponsor an approval: what is signed, byte by byte", cents(1, 0, UNKNOWN, &["authorization"]), Here(in_process::one_transfer_and_no_approval)),
    row("S7", "wants a Permit2 allowance for a spender of its own, and gets one permit for x402's", cents(1, 1, PAID, &[]), Case("hostile-permit2-offer")),
    row("S7", "wants an approval without limit that the caller did not consent to", nothing(REFUSED, &["approval \"unlimited\""]), Case("permit2-unlimited-refused")),
    row("S7", "names the payer as the one who pays the fee", nothing(REFUSED, &["extra.feePayer"]), Case("hostile-solana-payer-pays-the-fee")),
    row("S7", "wants a method of transfer that nobody here signs", nothing(REFUSED, &["assetTransferMethod"]), Case("challenge-method-unknown")),

    row("S8", "asks for a ceiling above the limit, to take what it likes", nothing(REFUSED, &["max_per_payment"]), Case("hostile-upto-ceiling")),

    row("S9", "asks for a signature that is good for a year", cents(1, 1, PAID, &[]), Case("paid-long-timeout-is-clamped")),
    row("S9", "asks for a signature that is good for ever", cents(1, 1, PAID, &[]), Case("hostile-timeout-for-ever")),
    row("S9", "asks for a validity that is no number of seconds", nothing(REFUSED, &["maxTimeoutSeconds"]), Case("challenge-timeout-huge")),

    row("S10", "redirects to another origin that asks for money", nothing(REFUSED, &["redirect"]), Case("redirect-other-origin-is-not-paid")),
    row("S10", "redirects to another origin to collect headers", nothing(NONE, &[]), Case("redirect-other-origin-loses-secrets")),
    row("S10", "redirects a payment header of the caller's own", nothing(REFUSED, &["redirect"]), Case("hostile-redirect-loses-the-callers-payment")),
    row("S10", "answers the payment with a redirect to another origin", cents(1, 0, UNKNOWN, &["answered 307 to the payment"]), Case("hostile-paid-answer-redirects-elsewhere")),
    row("S10", "redirects within the host first, then to a sibling", nothing(REFUSED, &["redirect", "allow host"]), Case("hostile-host-changes")),

    row("S11", "asks to be paid over plain http", nothing(REFUSED, &["plain http"]), Case("policy-plain-http")),
    row("S11", "redirects from https to http", nothing(NONE, &["leaves https for http"]), Case("redirect-https-to-http-refused")),
    row("S11", "shows a certificate of an authority that nobody trusts", nothing(NONE, &["certificate"]), Case("tls-untrusted")),

    row("S12", "stands between client and shop, over good TLS, and names himself as payee", cents(1, 1, PAID_THEN_REFUSED, &["payee"]), Case("hostile-terms-of-a-middleman"))
        .but("No shop signs its terms: without a list of payees whoever ends the TLS is paid, within the budgets."),

    row("S13", "names a payee that is not on the list", nothing(REFUSED, &["payee"]), Case("policy-payee-not-allowed")),
    row("S13", "names a new payee with every 402", cents(2, 2, TWICE_THEN_REFUSED, &["host budget of 0.025 USD"]), Case("hostile-new-payee-each-time"))
        .but("Without a list of payees a new one is paid; the budgets over all and over the host bound it."),

    row("S14", "tells the reader of its texts to pay and to raise the limit", nothing(REFUSED, &["max_per_payment allows 1.00 USD"]), Case("hostile-text-that-asks-to-pay")),
    row("S14", "is called because a text named it", cents(1, 1, &["refused", "paid"], &["is not among the allowed hosts"]), Case("hostile-host-not-on-the-list")),
    row("S14", "has an agent loosen the rules while the client lives", nothing(REFUSED, &["max_per_payment allows 0.001 USD"]), Here(in_process::rules_are_sealed)),
    row("S14", "puts control characters into every text", cents(3, 1, &["refused", "unknown", "paid", "unknown", "none"], &["payTo"]), Here(in_process::texts_hold_no_control_characters)),

    row("S15", "sits on a private address", nothing(NONE, &["deny_private_addresses"]), Case("private-addresses-denied")),
    row("S15", "sits on a private address and spells it in another way", nothing(&["none"; 21], &["deny_private_addresses"]), Case("hostile-private-addresses-in-every-spelling")),
    row("S15", "is public and redirects to a private address", nothing(&["none"; 5], &["deny_private_addresses"]), Case("hostile-redirect-to-a-private-address")),

    row("S16", "settles, and breaks off what was paid for, again and again", cents(2, 2, &["paid"; 5], &["it is truncated", "nonce_already_used"]), Case("repeat-after-body-broke-off-refused"))
        .but("It keeps one payment and the goods. The repeats cost nothing; only another purchase_key buys anew."),
    row("S16", "settles and answers 500 without a receipt", cents(1, 1, UNKNOWN, &["answered 500 to the payment"]), Case("paid-then-500")),
    row("S16", "settles and answers 500 with a receipt", cents(1, 1, PAID, &[]), Case("paid-then-500-with-receipt")),
    row("S16", "settles and answers 402, with a receipt and without", cents(2, 2, &["paid", "unknown"], &["pay again"]), Case("hostile-settled-then-402")),
    row("S16", "settles and stays silent beyond the whole call's time", cents(1, 1, UNKNOWN, &["total_timeout_ms"]), Case("hostile-settled-then-silent")),
    row("S16", "settles and drips its answer's head", cents(1, 1, UNKNOWN, &["total_timeout_ms"]), Case("hostile-settled-then-drips-its-head")),
    row("S16", "settles and drips its answer's body", cents(1, 1, PAID, &["total_timeout_ms"]), Case("hostile-settled-then-drips")),
    row("S16", "says that settlement failed", cents(1, 0, UNKNOWN, &["insufficient_funds"]), Case("settle-failed-402")),
    row("S16", "drips its 402", nothing(NONE, &["total_timeout_ms"]), Case("hostile-drips-its-402")),

    row("S17", "answers from a cache, the 402 as well as the goods", cents(2, 1, &["unknown", "paid"], &["answered 402 to the payment"]), Case("hostile-cached-402"))
        .but("A cache that ignores Cache-Control cannot be told from the server but for its Age header."),
    row("S17", "answers from a cache: the log warns of it", cents(1, 1, PAID, &["comes from a cache (Age: 86400)"]), Here(in_process::a_cache_is_warned_of)),

    row("S18", "names another shop's resource in its terms", cents(1, 1, PAID, &[]), Case("hostile-resource-of-another-shop"))
        .but("Only the server can refuse a payment made for something else; it gets back every byte it needs for that."),
    row("S18", "compares every member of the echo", cents(1, 1, PAID, &[]), Case("paid-unknown-members-echoed")),

    row("S19", "nests its JSON 20000 deep", nothing(REFUSED, &["nested deeper"]), Case("challenge-deep")),
    row("S19", "nests its offers inside each other", nothing(REFUSED, &["nested deeper"]), Case("hostile-deep-extra")),
    row("S19", "nests its receipt", cents(1, 1, UNKNOWN, &["nested deeper"]), Case("hostile-deep-receipt")),
    row("S19", "sends terms of 2 MiB in a header", nothing(NONE, &["head"]), Case("challenge-huge-header")),
    row("S19", "sends a header of 1 MiB beside its terms", nothing(NONE, &["head"]), Case("hostile-header-of-a-mebibyte")),
    row("S19", "sends 20000 headers, before and after the payment", cents(1, 1, &["none", "unknown"], &["head"]), Case("hostile-many-headers")),
    row("S19", "sends a body of megabytes as its terms", nothing(&["none"], &["402"]), Case("challenge-huge-body")),
    row("S19", "makes 33 offers at once", nothing(REFUSED, &["more than 32 entries"]), Case("hostile-many-offers")),
    row("S19", "sends interim answers without end", nothing(NONE, &["interim"]), Case("hostile-interim-answers-without-end")),

    row("S20", "repeats the signature in its texts", cents(1, 0, UNKNOWN, &["settlement failed", "0xabababab…"]), Here(in_process::nothing_that_pays_is_logged)),

    row("S21", "asks for L402 in place of x402", nothing(&["none", "none"], &[]), Case("hostile-l402-and-bare-402"))
        .but("No bearer token is read, kept or sent, so none can go too far."),

    row("S22", "claims a smaller amount, another network or another payer", cents(3, 3, &["paid", "paid", "paid", "refused"], &["0.03 USD of the all budget"]), Case("hostile-lying-receipts")).but(CLAIM),
    row("S22", "claims success and settles nothing", cents(1, 0, PAID_THEN_REFUSED, &["0.01 USD of the all budget"]), Here(in_process::success_that_never_was)).but(CLAIM),
    row("S22", "claims success in words", cents(1, 1, UNKNOWN, &["success"]), Case("hostile-receipt-of-text")),
    row("S22", "settles and gives no receipt", cents(1, 1, UNKNOWN, &["no receipt"]), Case("receipt-absent")),

    row("S23", "is refused by the caller's own word", nothing(REFUSED, &["approve callback refused"]), Case("policy-approve-refuses")),
    row("S23", "meets an approval that panics: nothing is paid, nothing stays reserved", cents(1, 1, PAID, &["panicked"]), Here(in_process::an_approval_that_panics)),
    row("S23", "meets a signer that fails: nothing is paid, nothing stays reserved", cents(1, 1, &["refused", "paid"], &["signing failed"]), Here(in_process::a_signer_that_fails)),

    row("S24", "is called by 16 threads, each four times, on one budget of ten payments", Outcome { signatures: 10, signed: 100_000, settled: 10, money: in_process::TEN_OF_64, says: &["all budget of 0.10 USD"] }, Here(in_process::threads_share_one_budget)),

    row("S25", "wants a deposit for a session", cents(1, 1, &["paid", "none"], &[]), Case("hostile-session-deposit"))
        .but("Sessions are not spoken. A deposit in a channel is made only where the caller allows it, and counts in full."),
    row("S25", "wants a deposit in a channel that nobody allowed", nothing(REFUSED, &["allow deposit"]), Case("channel-no-consent")),
    row("S25", "wants all the money there is deposited in a channel", cents(1, 1, PAID, &[]), Case("hostile-channel-deposit-sky-high"))
        .but("What was allowed is deposited. What is left of it comes back by the payee's leave or after a delay."),
    row("S25", "claims by a receipt that more was charged to a channel than was signed", Outcome { signatures: 3, signed: 20_000, settled: 2, money: &["paid", "paid"], says: &[] }, Case("hostile-channel-receipt-claims-more")),
    row("S25", "corrects a channel by a voucher that nobody signed", cents(1, 0, UNKNOWN, &["proves nothing"]), Case("hostile-channel-forged-voucher")),
    row("S25", "corrects a channel by a voucher of another one", cents(1, 0, UNKNOWN, &["proves nothing"]), Case("hostile-channel-foreign-voucher")),
    row("S25", "corrects a channel by a voucher over another sum", cents(1, 0, UNKNOWN, &["proves nothing"]), Case("hostile-channel-other-sum-signed")),
    row("S25", "corrects a channel above the voucher that it shows", cents(1, 0, UNKNOWN, &["proves nothing"]), Case("hostile-channel-charged-above-signed")),
    row("S25", "turns a voucher down and shows it as proof that it was charged", cents(2, 1, &["paid", "unknown"], &["proves nothing"]), Case("hostile-channel-own-voucher-as-proof")),
    row("S25", "keeps a first deposit and shows its voucher as proof of a charge before", cents(1, 0, UNKNOWN, &["proves nothing"]), Case("hostile-channel-own-voucher-on-a-new-channel")),

    row("S26", "is a paid clone of a shop that the caller was led to", cents(2, 2, TWICE_THEN_REFUSED, &["all budget of 0.02 USD"]), Case("hostile-clone-of-a-shop"))
        .but("No 402 tells a clone from a shop. A list of hosts keeps it out; without one the budget bounds it."),
    row("S26", "is a clone that is not on the list of hosts", cents(1, 1, &["refused", "paid"], &["is not among the allowed hosts"]), Case("hostile-host-not-on-the-list")),

    row("S27", "has a clock an hour ahead of ours", cents(1, 0, UNKNOWN, &["valid_before"]), Here(in_process::our_clock_is_behind))
        .but("The Date header is not believed: with it a server could stretch the life of a signature."),
    row("S27", "sends a Date of 1970, of 2099, or none that can be read", cents(3, 3, THRICE_PAID, &[]), Case("hostile-date-far-off"))
        .but("Our own clock alone counts; one that is wrong makes payments that are refused, which shows at once."),
    row("S27", "has a clock an hour behind ours", cents(1, 1, PAID, &[]), Here(in_process::our_clock_is_ahead)),
    row("S27", "speaks version 1 with a clock five minutes behind ours", cents(1, 1, PAID, &[]), Here(in_process::our_clock_is_ahead_a_little_v1)),
    row("S27", "speaks version 1 with a clock an hour behind ours", cents(1, 0, UNKNOWN, &["valid_after"]), Here(in_process::our_clock_is_ahead_v1))
        .but("It becomes valid later, and counts as spent until then and after."),
];
