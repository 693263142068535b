//! Payments on Solana as the server sees them: the schemes `exact` and `upto`.
//!
//! Owns the same as `payment.rs` for these: reasons by their official names, a pure function of its input. Written from
//! the scheme's text and not from the library's code; addresses of programs come from Solana's own library.

use super::payment::{Payment, hex};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use ed25519_dalek::{Signature, VerifyingKey};
use serde_json::{Value, json};
use sha2::{Digest, Sha256, Sha512};
use solana_address::Address;
use std::str::FromStr;

/// What the test node gives for a recent blockhash, and for the latest slot.
pub const BLOCKHASH: &str = "GfVcyD4kkTrj4bKc7WA9sZCin9JDbdT4Zkd3EittNR1W";
pub const SLOT: u64 = 350_000_000;

const TOKEN: &str = "TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA";
const TOKEN_2022: &str = "TokenzQdBNbLqP5VEhdkAS6EPFLC1PHnBqCXEpPxuEb";
const ASSOCIATED_TOKEN: &str = "ATokenGPvbdGVxr1b2hvZbsiqW5xWH25efTNsLJA8knL";
const COMPUTE_BUDGET: &str = "ComputeBudget111111111111111111111111111111";
const MEMO: &str = "MemoSq4gqABAXKb96qnH8TysNcWxMyWCqXgDLGmfcHr";
const SYSTEM: &str = "11111111111111111111111111111111";
const RENT_SYSVAR: &str = "SysvarRent111111111111111111111111111111111";
const CHANNELS: &str = "CHNLxYvVA28MJP9PrFuDXccuoGXAx7jBacfLEkahyGsX";

/// The mints of the test chain: address, program, decimals.
pub const MINTS: [(&str, &str, u8); 4] = [
    ("4zMMC9srt5Ri5X14GAgXhaHii3GnPAEERYPJgZJDncDU", TOKEN, 6),
    ("EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v", TOKEN, 6),
    ("CXk2AMBfi3TwaEL2468s6zP8xq9NxTXjp9gjMgzeUynM", TOKEN_2022, 6),
    ("So11111111111111111111111111111111111111112", TOKEN, 9),
];

const COMPUTE_UNITS_MAX: u32 = 400_000;
const COMPUTE_UNIT_PRICE_MAX: u64 = 5_000_000;
/// A blockhash is void about then; a transaction says nothing of time.
const VALID_FOR_S: u64 = 90;

pub fn asks_for_it(offer: &Value) -> bool {
    offer["network"].as_str().is_some_and(|network| network.starts_with("solana"))
}

/// Verifies the payload sent for `offer`.
pub fn verify(version: u8, payload: &Value, offer: &Value, now_s: u64) -> Result<Payment, String> {
    let upto = offer["scheme"] == "upto";
    let member = if upto { "openTransaction" } else { "transaction" };
    let transaction = Transaction::decode(&payload[member])?;
    let terms = Terms::read(version, offer)?;
    let payer = transaction.signed_by_payer(&terms)?;
    transaction.check_budget()?;
    transaction.check_memo(&terms)?;
    match (upto, offer["scheme"] == "exact") {
        (true, _) => terms.check_open(&transaction, &payer, payload, now_s)?,
        (false, true) => terms.check_transfer(&transaction, &payer)?,
        (false, false) => return Err("unsupported_scheme".into()),
    }
    Ok(Payment {
        version,
        network: text(&offer["network"])?.into(),
        asset: terms.mint.to_string(),
        amount: terms.amount.to_string(),
        payee: terms.payee.to_string(),
        payer: payer.to_string(),
        nonce: hex(&Sha256::digest(&transaction.message)),
        valid_after: 0,
        valid_before: now_s + VALID_FOR_S,
        valid_for_s: VALID_FOR_S,
        drawn: None,
    })
}

/// The signature under which a transaction that never was would be found.
pub fn transaction_id(nonce: &str) -> String {
    // Any 64 bytes: Solana's own text of a signature is base58 without a fixed length.
    let bytes: [u8; 64] = Sha512::digest(nonce.as_bytes()).into();
    base58(&bytes)
}

struct Terms {
    payee: Address,
    mint: Address,
    fee_payer: Address,
    amount: u64,
    blockhash: [u8; 32],
    memo: Option<String>,
    token_program: Address,
    decimals: u8,
    extra: Value,
}

impl Terms {
    fn read(version: u8, offer: &Value) -> Result<Terms, String> {
        let extra = &offer["extra"];
        let mint = text(&offer["asset"])?;
        let (_, token_program, decimals) =
            MINTS.iter().find(|(known, ..)| *known == mint).ok_or("invalid_exact_svm_payload_mint_mismatch")?;
        let blockhash = extra["recentBlockhash"].as_str().unwrap_or(BLOCKHASH);
        let amount = text(&offer[if version == 1 { "maxAmountRequired" } else { "amount" }])?;
        Ok(Terms {
            payee: address(&offer["payTo"])?,
            mint: address(&offer["asset"])?,
            fee_payer: address(&extra["feePayer"])?,
            amount: amount.parse().map_err(|_| "invalid_payment_requirements")?,
            // Of a mint that is not in common tables, a client must not take the offer's word for its cluster.
            blockhash: fixed(if *decimals == 9 { BLOCKHASH } else { blockhash }).to_bytes(),
            memo: extra["memo"].as_str().map(str::to_string),
            token_program: fixed(token_program),
            decimals: *decimals,
            extra: extra.clone(),
        })
    }

    fn token_account(&self, owner: &Address) -> Address {
        let seeds: [&[u8]; 3] = [owner.as_ref(), self.token_program.as_ref(), self.mint.as_ref()];
        Address::find_program_address(&seeds, &fixed(ASSOCIATED_TOKEN)).0
    }

    /// The third instruction moves exactly the amount from the payer's account to the payee's.
    fn check_transfer(&self, transaction: &Transaction, payer: &Address) -> Result<(), String> {
        let transfer = &transaction.instructions[2];
        let data = [&[12][..], &self.amount.to_le_bytes(), &[self.decimals]].concat();
        if transfer.program != self.token_program || transfer.data.first() != Some(&12) || transfer.data.len() != 10 {
            return Err("invalid_exact_svm_payload_no_transfer_instruction".into());
        }
        let uses_fee_payer = |used: &Instruction| {
            used.program == self.fee_payer || used.accounts.iter().any(|account| account.0 == self.fee_payer)
        };
        if transaction.instructions.iter().any(uses_fee_payer) {
            return Err("invalid_exact_svm_payload_transaction_fee_payer_transferring_funds".into());
        }
        let read = |address: Address| (address, false, false);
        let written = |address: Address| (address, false, true);
        let [source, mint, destination, authority] = transfer.accounts[..] else {
            return Err("invalid_exact_svm_payload_no_transfer_instruction".into());
        };
        if mint != read(self.mint) {
            return Err("invalid_exact_svm_payload_mint_mismatch".into());
        }
        if destination != written(self.token_account(&self.payee)) {
            return Err("invalid_exact_svm_payload_recipient_mismatch".into());
        }
        if transfer.data != data {
            return Err("invalid_exact_svm_payload_amount_mismatch".into());
        }
        match source == written(self.token_account(payer)) && authority == (*payer, true, false) {
            true => Ok(()),
            false => Err("transaction_simulation_failed".into()),
        }
    }

    /// The third instruction opens the channel that the payload describes, and no other.
    fn check_open(
        &self,
        transaction: &Transaction,
        payer: &Address,
        payload: &Value,
        now_s: u64,
    ) -> Result<(), String> {
        let bad = |what: &str| format!("invalid_upto_svm_payload_{what}");
        let number = |name: &str| payload[name].as_str().and_then(|text| text.parse::<u64>().ok());
        let (salt, slot) = number("nonce").zip(number("openSlot")).ok_or_else(|| bad("nonce"))?;
        let authorizer = address(&self.extra["receiverAuthorizer"])?;
        if (number("deposit"), number("maxAmount")) != (Some(self.amount), Some(self.amount)) {
            return Err(bad("amount_mismatch"));
        }
        let (expires_s, valid_after_s) = (payload["expiresAt"].as_u64(), payload["validAfter"].as_u64());
        if expires_s.is_none_or(|end| end <= now_s) || valid_after_s.is_none_or(|start| start > now_s) {
            return Err(bad("expired"));
        }
        if address(&payload["from"])? != *payer || address(&payload["authorizedSigner"])? != authorizer {
            return Err(bad("authorized_signer_mismatch"));
        }
        let (salt, slot) = (salt.to_le_bytes(), slot.to_le_bytes());
        let parties = [payer, &self.fee_payer, &self.mint, &authorizer].map(Address::as_ref);
        let seeds = [&b"channel"[..], parties[0], parties[1], parties[2], parties[3], &salt, &slot];
        let (channel, _) = Address::find_program_address(&seeds, &fixed(CHANNELS));
        if address(&payload["channelId"])? != channel {
            return Err(bad("channel_mismatch"));
        }
        let delay = self.extra["withdrawDelay"].as_u64().and_then(|delay| u32::try_from(delay).ok()).unwrap_or(0);
        let data = [
            &[1][..],
            &salt,
            &self.amount.to_le_bytes(),
            &delay.to_le_bytes(),
            &slot,
            &1_u32.to_le_bytes(),
            self.payee.as_ref(),
            &10_000_u16.to_le_bytes(),
        ];
        let open = &transaction.instructions[2];
        let (source, escrow) = (self.token_account(payer), self.token_account(&channel));
        let (event_authority, _) = Address::find_program_address(&[b"event_authority"], &fixed(CHANNELS));
        let signs = [*payer, self.fee_payer, self.fee_payer].map(|address| (address, true, true));
        let named = [self.mint, authorizer].map(|address| (address, false, false));
        let written = [channel, source, escrow].map(|address| (address, false, true));
        let fixed_ones = [SYSTEM, RENT_SYSVAR, ASSOCIATED_TOKEN].map(fixed);
        let rest = [self.token_program].into_iter().chain(fixed_ones).chain([event_authority, fixed(CHANNELS)]);
        let expected = signs.into_iter().chain(named).chain(written).chain(rest.map(|address| (address, false, false)));
        if open.program != fixed(CHANNELS) || open.data != data.concat() || !expected.eq(open.accounts.iter().copied())
        {
            return Err(bad("open_instruction"));
        }
        Ok(())
    }
}

#[derive(Debug)]
struct Instruction {
    program: Address,
    /// Address, signs, is written.
    accounts: Vec<(Address, bool, bool)>,
    data: Vec<u8>,
}

/// A transaction of version 0 without lookup tables.
struct Transaction {
    signatures: Vec<[u8; 64]>,
    message: Vec<u8>,
    signers: Vec<Address>,
    blockhash: [u8; 32],
    instructions: Vec<Instruction>,
}

impl Transaction {
    fn decode(value: &Value) -> Result<Transaction, String> {
        let undecoded = || "invalid_exact_svm_payload_transaction_could_not_be_decoded".to_string();
        let bytes = BASE64.decode(text(value)?).map_err(|_| undecoded())?;
        if bytes.len() > 1232 {
            return Err(undecoded());
        }
        Transaction::read(&mut Cursor(&bytes)).ok_or_else(undecoded)
    }

    fn read(cursor: &mut Cursor<'_>) -> Option<Transaction> {
        let signatures = (0..cursor.length()?).map(|_| cursor.array()).collect::<Option<Vec<_>>>()?;
        let message = cursor.0.to_vec();
        let [0x80, signs, signs_only, reads_only] = cursor.array::<4>()?.map(usize::from) else { return None };
        let keys: Vec<Address> =
            (0..cursor.length()?).map(|_| cursor.array().map(Address::from)).collect::<Option<_>>()?;
        if signs_only >= signs || signs + reads_only > keys.len() {
            return None;
        }
        let blockhash = cursor.array()?;
        let written = |at: usize| match at < signs {
            true => at + signs_only < signs,
            false => at + reads_only < keys.len(),
        };
        let mut instructions = Vec::new();
        for _ in 0..cursor.length()? {
            let program = *keys.get(usize::from(cursor.byte()?))?;
            let indices = cursor.slice()?;
            let account = |at: &u8| {
                let at = usize::from(*at);
                keys.get(at).map(|key| (*key, at < signs, written(at)))
            };
            let accounts = indices.iter().map(account).collect::<Option<_>>()?;
            instructions.push(Instruction { program, accounts, data: cursor.slice()?.to_vec() });
        }
        let whole = cursor.length()? == 0 && cursor.0.is_empty() && signatures.len() == signs;
        let signers = keys.get(..signs)?.to_vec();
        whole.then_some(Transaction { signatures, message, signers, blockhash, instructions })
    }

    /// The one signer beside the fee payer, whose signature holds.
    fn signed_by_payer(&self, terms: &Terms) -> Result<Address, String> {
        let [fee_payer, payer] = self.signers[..] else {
            return Err("invalid_exact_svm_payload_transaction_signers".into());
        };
        if fee_payer != terms.fee_payer {
            return Err("fee_payer_not_managed_by_facilitator".into());
        }
        if self.blockhash != terms.blockhash {
            return Err("transaction_simulation_failed: blockhash not found".into());
        }
        let unsigned = self.signatures[0] == [0; 64];
        let key = VerifyingKey::from_bytes(&payer.to_bytes());
        let signature = Signature::from_bytes(&self.signatures[1]);
        match key.map(|key| key.verify_strict(&self.message, &signature)) {
            Ok(Ok(())) if unsigned => Ok(payer),
            _ => Err("invalid_exact_svm_payload_signature".into()),
        }
    }

    fn check_budget(&self) -> Result<(), String> {
        const PLACE: &str = "invalid_exact_svm_payload_transaction_instructions";
        if !(3..=7).contains(&self.instructions.len()) {
            return Err(format!("{PLACE}_length"));
        }
        let value = |at: usize, discriminator: u8| {
            let call = &self.instructions[at];
            let is_budget = call.program == fixed(COMPUTE_BUDGET) && call.accounts.is_empty();
            call.data.split_first().filter(|(first, _)| is_budget && **first == discriminator).map(|(_, rest)| rest)
        };
        let limit = value(0, 2).and_then(|bytes| bytes.try_into().ok()).map(u32::from_le_bytes);
        if limit.is_none_or(|limit| limit > COMPUTE_UNITS_MAX) {
            return Err(format!("{PLACE}_compute_limit_instruction"));
        }
        let price = value(1, 3).and_then(|bytes| bytes.try_into().ok()).map(u64::from_le_bytes);
        if price.is_none_or(|price| price > COMPUTE_UNIT_PRICE_MAX) {
            return Err(format!("{PLACE}_compute_price_instruction"));
        }
        Ok(())
    }

    /// The seller's words where it asks for some, else something that is never the same.
    fn check_memo(&self, terms: &Terms) -> Result<(), String> {
        let [memo] = &self.instructions[3..] else {
            return Err("invalid_exact_svm_payload_memo_count".into());
        };
        let right = match &terms.memo {
            Some(asked) => memo.data == asked.as_bytes(),
            None => memo.data.len() == 32 && memo.data.iter().all(u8::is_ascii_hexdigit),
        };
        match right && memo.program == fixed(MEMO) && memo.accounts.is_empty() {
            true => Ok(()),
            false => Err("invalid_exact_svm_payload_memo_mismatch".into()),
        }
    }
}

struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(head)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take(1).map(|bytes| bytes[0])
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    /// A compact-u16, in its shortest form.
    fn length(&mut self) -> Option<usize> {
        let mut value = 0;
        for shift in [0, 7, 14] {
            let byte = usize::from(self.byte()?);
            value |= (byte & 0x7f) << shift;
            if byte < 0x80 {
                return (byte != 0 || shift == 0).then_some(value).filter(|value| *value <= 0xffff);
            }
        }
        None
    }

    fn slice(&mut self) -> Option<&'a [u8]> {
        let count = self.length()?;
        self.take(count)
    }
}

/// A node's answer to a JSON-RPC request: what a client may ask before it signs.
pub fn node_answer(request: &[u8]) -> Vec<u8> {
    let request: Value = serde_json::from_slice(request).unwrap_or_default();
    let context = json!({"slot": SLOT});
    let result = match request["method"].as_str() {
        Some("getLatestBlockhash") => {
            json!({"context": context, "value": {"blockhash": BLOCKHASH, "lastValidBlockHeight": SLOT}})
        }
        Some("getSlot") => json!(SLOT),
        Some("getAccountInfo") => {
            let mint = MINTS.iter().find(|(mint, ..)| request["params"][0] == *mint);
            let account = mint.map(|(_, owner, decimals)| {
                let mut data = [0; 82];
                data[44] = *decimals;
                data[45] = 1;
                json!({"owner": owner, "data": [BASE64.encode(data), "base64"], "executable": false, "lamports": 1})
            });
            json!({"context": context, "value": account})
        }
        _ => Value::Null,
    };
    json!({"jsonrpc": "2.0", "id": request["id"], "result": result}).to_string().into_bytes()
}

fn text(value: &Value) -> Result<&str, String> {
    value.as_str().ok_or_else(|| format!("invalid_payload: {value} is not a string"))
}

fn address(value: &Value) -> Result<Address, String> {
    Address::from_str(text(value)?).map_err(|_| format!("invalid_payload: {value} is no address"))
}

/// A constant of this file.
fn fixed(text: &str) -> Address {
    Address::from_str(text).unwrap()
}

/// Digit by digit: slow, and another way than the library's.
fn base58(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 58] = b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
    let mut digits: Vec<usize> = Vec::new();
    for byte in bytes {
        let mut carry = usize::from(*byte);
        for digit in &mut digits {
            carry += *digit << 8;
            *digit = carry % 58;
            carry /= 58;
        }
        while carry > 0 {
            digits.push(carry % 58);
            carry /= 58;
        }
    }
    let zeros = bytes.iter().take_while(|byte| **byte == 0).map(|_| '1');
    zeros.chain(digits.iter().rev().map(|digit| DIGITS[*digit] as char)).collect()
}
