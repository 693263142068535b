//! The scheme `exact` on Solana: one `TransferChecked` of exactly the amount, in a transaction whose fee another pays.
//!
//! Owns the instructions and their order, which facilitators check one by one, and the payload. Must not know how many
//! keys there are. The account of the payee must exist: no client makes it, because its rent would be a second payment.

use super::message::{Account, Instruction};
use super::pda::Holding;
use super::program;
use super::terms::{Terms, Token, optional_text};
use crate::error::printable;
use crate::money::SolanaAddress;
use crate::protocol::Offer;
use std::fmt::Write;
use zeroize::Zeroizing;

/// What a transfer and a memo may cost; facilitators refuse far more.
const COMPUTE_UNITS: u32 = 20_000;
/// In micro-lamports a compute unit; facilitators accept 5,000,000 and pay it.
pub(super) const COMPUTE_UNIT_PRICE: u64 = 1;

/// Base64 of a whole transaction, and the braces.
const PAYLOAD_BYTES_MAX: usize = 2048;

/// When the server settles does not change what is signed; a flow nobody has defined might.
pub(super) fn check_flow(offer: &Offer) -> Result<(), String> {
    match optional_text(offer, "paymentFlow")? {
        None | Some("authorization" | "upfront" | "escrow") => Ok(()),
        Some(other) => Err(format!("extra.paymentFlow is {:?}, which is unknown", printable(other))),
    }
}

/// What the transfer is about.
pub(super) struct Used {
    token: Token,
    mint: SolanaAddress,
    payer: SolanaAddress,
    /// The accounts of payer and payee in the token.
    source: SolanaAddress,
    destination: SolanaAddress,
}

pub(super) fn used(terms: &Terms<'_>, token: Token, payer: SolanaAddress) -> Result<Used, String> {
    let account = |field: &str, owner: SolanaAddress| {
        let holding = Holding { owner, token_program: token.program, mint: terms.mint };
        holding.account().ok_or_else(|| format!("{field} has no token account in this asset"))
    };
    let (source, destination) = (account("payer", payer)?, account("payTo", terms.payee)?);
    Ok(Used { token, mint: terms.mint, payer, source, destination })
}

/// The four calls, in the order that facilitators ask for.
pub(super) fn instructions(used: &Used, amount: u64, memo: Vec<u8>) -> [Instruction; 4] {
    let mut data = Vec::with_capacity(10);
    data.push(12);
    data.extend(amount.to_le_bytes());
    data.push(used.token.decimals);
    let transfer = Instruction {
        program: used.token.program,
        accounts: vec![
            Account::written(used.source),
            Account::read(used.mint),
            Account::written(used.destination),
            Account::read(used.payer).signing(),
        ],
        data,
    };
    let [limit, price] = compute_budget(COMPUTE_UNITS);
    [limit, price, transfer, note(memo)]
}

/// The fee payer signs for the fee alone: a facilitator refuses a transaction that uses it for anything else.
pub(super) fn check_fee_payer(fee_payer: &SolanaAddress, used: &Used) -> Result<(), String> {
    let Used { token, mint, payer, source, destination } = used;
    let addresses = [&token.program, mint, payer, source, destination, &program::COMPUTE_BUDGET, &program::MEMO];
    if addresses.contains(&fee_payer) {
        return Err(format!("extra.feePayer is {fee_payer}, which the transfer itself uses"));
    }
    Ok(())
}

pub(super) fn compute_budget(units: u32) -> [Instruction; 2] {
    let call = |discriminator: u8, value: &[u8]| Instruction {
        program: program::COMPUTE_BUDGET,
        accounts: Vec::new(),
        data: [&[discriminator], value].concat(),
    };
    [call(2, &units.to_le_bytes()), call(3, &COMPUTE_UNIT_PRICE.to_le_bytes())]
}

pub(super) fn note(memo: Vec<u8>) -> Instruction {
    Instruction { program: program::MEMO, accounts: Vec::new(), data: memo }
}

/// x402 v1 and v2, scheme `exact`, Solana. Base64 needs no escape.
pub(super) fn payload(transaction_base64: &str) -> Zeroizing<String> {
    let mut json = Zeroizing::new(String::with_capacity(PAYLOAD_BYTES_MAX));
    // Writing to a String cannot fail.
    let _ = write!(json, r#"{{"transaction":"{transaction_base64}"}}"#);
    json
}
