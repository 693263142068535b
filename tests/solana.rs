//! Payments on Solana held against the official SDKs' recordings and against Solana's own Rust library.
//!
//! Recordings of `@x402/svm` 2.27.0 are compared decoded: its accounts stand in another order, which is the same
//! transaction with another signature. Solana's library sorts as we do, so its messages are compared byte for byte.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signature, VerifyingKey};
use serde_json::{Value, json};
use solana_address::Address;
use solana_instruction::{AccountMeta, Instruction as TheirInstruction};
use solana_message::{VersionedMessage, v0};
use solana_transaction::versioned::VersionedTransaction;
use std::collections::BTreeSet;
use x402::money::SolanaAddress;
use x402::protocol::{Challenge, Credential};
use x402::scheme::solana::message::{Account, Instruction, Message};
use x402::scheme::solana::{pda, program};
use x402::scheme::{Authorization, Facts, Ingredients, Need, Payable, authorize, needs, payable};
use x402::wallet::Wallet;

const NOW_S: u64 = 1_740_672_089;
const SEED: &str = "0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20";
const PAYER: &str = "9C6hybhQ6Aycep9jaUnP6uL9ZYvDjUp1aSkFWPUFJtpj";
const BLOCKHASH: &str = "GfVcyD4kkTrj4bKc7WA9sZCin9JDbdT4Zkd3EittNR1W";
const SLOT: &str = "350000000";

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("{value} is not a string"))
}

fn hex(digits: &str) -> Vec<u8> {
    alloy_primitives::hex::decode(digits).unwrap()
}

fn address(text: &str) -> Address {
    Address::from(*SolanaAddress::parse(text).unwrap().bytes())
}

fn ours(address: &Address) -> SolanaAddress {
    SolanaAddress::from_bytes(address.to_bytes())
}

fn wallet() -> Wallet {
    let pair = [hex(SEED), SolanaAddress::parse(PAYER).unwrap().bytes().to_vec()].concat();
    let mut wallet = Wallet::new();
    wallet.add_solana_key(&json!(pair).to_string()).unwrap();
    wallet
}

/// What a node of a chain with this mint says.
fn answered(asked: &[Need], token_program: &str, decimals: u64) -> Facts {
    let mut facts = Facts::default();
    for need in asked {
        let answer = match need {
            Need::SolanaBlockhash => BLOCKHASH.to_string(),
            Need::SolanaSlot => SLOT.to_string(),
            Need::SolanaMint(_) => format!("{token_program} {decimals}"),
            other => panic!("{other:?} was asked of Solana"),
        };
        facts.add(need, answer);
    }
    facts
}

fn sign(challenge: &Challenge, payable: &Payable, facts: &Facts, nonce: [u8; 32]) -> Authorization {
    let ingredients = Ingredients { now_s: NOW_S, nonce, facts, extensions: None, draw: None };
    authorize(&challenge.offers[0], payable, &wallet(), &ingredients).unwrap()
}

// ---- a transaction as its reader sees it --------------------------------------------------------------

/// Everything a transaction means, without the order of its accounts.
#[derive(Debug, PartialEq)]
struct Meaning {
    fee_payer: Address,
    blockhash: [u8; 32],
    /// Address, signs, is written.
    accounts: BTreeSet<(Address, bool, bool)>,
    /// Program, accounts, data.
    instructions: Vec<(Address, Vec<Address>, Vec<u8>)>,
    /// Who has signed; every signature holds.
    signed: BTreeSet<Address>,
}

fn decode(base64: &str) -> (Meaning, VersionedTransaction) {
    let bytes = STANDARD.decode(base64).unwrap();
    assert!(bytes.len() <= 1232);
    let transaction: VersionedTransaction = wincode::deserialize(&bytes).unwrap();
    assert_eq!(wincode::serialize(&transaction).unwrap(), bytes, "nothing but the transaction");
    transaction.sanitize().unwrap();
    let message = &transaction.message;
    assert!(matches!(message, VersionedMessage::V0(_)) && message.address_table_lookups() == Some(&[]));
    let keys = message.static_account_keys();
    let signed = transaction.signatures.iter().zip(keys).filter(|(signature, _)| signature.as_ref() != [0; 64]);
    let signed = signed.map(|(signature, key)| {
        let signature = Signature::from_slice(signature.as_ref()).unwrap();
        VerifyingKey::from_bytes(&key.to_bytes()).unwrap().verify_strict(&message.serialize(), &signature).unwrap();
        *key
    });
    let signed = signed.collect();
    let header = message.header();
    let readonly = usize::from(header.num_readonly_unsigned_accounts);
    let signers = usize::from(header.num_required_signatures);
    let written = |at: usize| match at < signers {
        true => at < signers - usize::from(header.num_readonly_signed_accounts),
        false => at < keys.len() - readonly,
    };
    let accounts = keys.iter().enumerate().map(|(at, key)| (*key, at < signers, written(at))).collect();
    let at = |index: &u8| keys[usize::from(*index)];
    let instructions = message.instructions().iter().map(|instruction| {
        let accounts = instruction.accounts.iter().map(at).collect();
        (at(&instruction.program_id_index), accounts, instruction.data.clone())
    });
    let instructions = instructions.collect();
    let blockhash = message.recent_blockhash().to_bytes();
    (Meaning { fee_payer: keys[0], blockhash, accounts, instructions, signed }, transaction)
}

// ---- recordings ---------------------------------------------------------------------------------------

fn vectors(file: &str) -> Vec<Value> {
    let path = format!("{}/tests/vectors/{file}.json", env!("CARGO_MANIFEST_DIR"));
    let document: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    document["vectors"].as_array().unwrap().clone()
}

fn challenge_of(vector: &Value) -> Challenge {
    let terms = vector["paymentRequired"].to_string();
    match vector["paymentRequired"]["x402Version"].as_u64() {
        Some(1) => Challenge::parse(None, terms.as_bytes()).unwrap(),
        _ => Challenge::parse(Some(STANDARD.encode(terms).as_bytes()), b"{}").unwrap(),
    }
}

/// The nonce from which our client draws what the recorded one drew.
fn nonce_of(vector: &Value) -> [u8; 32] {
    let random: Vec<Vec<u8>> = vector["random"].as_array().unwrap().iter().map(|value| hex(text(value))).collect();
    let upto = vector["paymentRequired"]["accepts"][0]["scheme"] == "upto";
    let (memo, salt) = if upto { (&random[1], &random[0]) } else { (&random[0], &random[1]) };
    [&memo[..16], &salt[..16]].concat().try_into().unwrap()
}

/// Checks one recording and tells whether even the bytes are the same.
fn reproduced(vector: &Value, member: &str) -> bool {
    let challenge = challenge_of(vector);
    let offer = &challenge.offers[0];
    let chosen = payable(offer, &wallet()).unwrap();
    assert_eq!(chosen.payer, text(&vector["payer"]));
    let asked = needs(offer, &chosen, None, false);
    assert!(asked.len() <= vector["rpcCalls"].as_array().unwrap().len());
    let facts = answered(&asked, text(&vector["mintOwnerProgram"]), vector["mintDecimals"].as_u64().unwrap());
    let signed = sign(&challenge, &chosen, &facts, nonce_of(vector));
    assert_eq!(signed.payload.to_string(), sign(&challenge, &chosen, &facts, nonce_of(vector)).payload.to_string());

    let credential = Credential::new(&challenge, offer, &signed.payload);
    assert_eq!(credential.header_name(), text(&vector["headerName"]));
    let mut sent: Value = serde_json::from_slice(&STANDARD.decode(credential.header_value()).unwrap()).unwrap();
    let mut recorded = vector["paymentPayload"].clone();
    let (our_base64, their_base64) = (sent["payload"][member].take(), recorded["payload"][member].take());
    assert_eq!(sent, recorded, "{}", vector["id"]);

    let (our_meaning, our_transaction) = decode(text(&our_base64));
    let (their_meaning, _) = decode(text(&their_base64));
    assert_eq!(our_meaning, their_meaning, "{}", vector["id"]);
    assert_eq!(our_meaning.signed, BTreeSet::from([address(PAYER)]));
    assert_eq!(our_transaction.message.static_account_keys()[0], address(text(&vector["feePayer"])));
    our_base64 == their_base64
}

#[test]
fn exact_is_reproduced() {
    let vectors = vectors("exact-svm");
    assert_eq!(vectors.len(), 8);
    let mut same_bytes = Vec::new();
    for vector in &vectors {
        if vector["id"] == "svm-v2-fee-payer-is-payer" {
            let reason = payable(&challenge_of(vector).offers[0], &wallet()).unwrap_err();
            assert!(reason.starts_with("extra.feePayer "), "{reason}");
        } else if reproduced(vector, "transaction") {
            same_bytes.push(text(&vector["id"]));
        }
    }
    // The one recording in which both orders of the accounts are the same.
    assert_eq!(same_bytes, ["svm-v2-wsol-9-decimals"]);
}

#[test]
fn upto_is_reproduced() {
    let vectors = vectors("upto-svm");
    assert_eq!(vectors.len(), 1);
    reproduced(&vectors[0], "openTransaction");
}

// ---- Solana's own library -----------------------------------------------------------------------------

/// Pseudo-random bytes from a fixed seed (xorshift64*), the same in every run.
struct Bytes(u64);

impl Bytes {
    fn take<const N: usize>(&mut self) -> [u8; N] {
        std::array::from_fn(|_| {
            self.0 ^= self.0 >> 12;
            self.0 ^= self.0 << 25;
            self.0 ^= self.0 >> 27;
            (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 56) as u8
        })
    }

    fn below(&mut self, end: u8) -> u8 {
        self.take::<1>()[0] % end
    }
}

fn compiled(fee_payer: &Address, instructions: &[TheirInstruction], blockhash: [u8; 32]) -> Vec<u8> {
    let message = v0::Message::try_compile(fee_payer, instructions, &[], blockhash.into()).unwrap();
    VersionedMessage::V0(message).serialize()
}

#[test]
fn messages_equal_those_of_solanas_library_whatever_collides() {
    let mut bytes = Bytes(0x501a_501a_501a_501a);
    let mut collisions = 0;
    for round in 0..2_000 {
        // Few addresses, so that programs, accounts and the fee payer are often the same.
        let pool: Vec<Address> = (0..1 + bytes.below(8)).map(|_| Address::from(bytes.take::<32>())).collect();
        let any = |bytes: &mut Bytes| pool[usize::from(bytes.below(pool.len() as u8))];
        let fee_payer = any(&mut bytes);
        let theirs: Vec<TheirInstruction> = (0..bytes.below(5))
            .map(|_| {
                let metas = (0..bytes.below(9)).map(|_| AccountMeta {
                    pubkey: any(&mut bytes),
                    is_signer: bytes.below(3) == 0,
                    is_writable: bytes.below(2) == 0,
                });
                let accounts: Vec<_> = metas.collect();
                let data = vec![7; usize::from(bytes.below(160))];
                TheirInstruction { program_id: any(&mut bytes), accounts, data }
            })
            .collect();
        let instructions: Vec<Instruction> = theirs.iter().map(from_theirs).collect();
        let used = theirs.iter().map(|one| 1 + one.accounts.len()).sum::<usize>();
        collisions += usize::from(used >= pool.len());
        let blockhash = bytes.take();
        let expected = compiled(&fee_payer, &theirs, blockhash);
        let signers = usize::from(expected[1]);
        match Message::compile(ours(&fee_payer), &blockhash, &instructions) {
            Some(message) => {
                assert_eq!(message.bytes(), expected, "round {round}");
                assert_eq!(message.signers().len(), signers);
            }
            None => assert!(expected.len() + 1 + 64 * signers > 1232, "round {round}"),
        }
    }
    assert!(collisions > 500, "{collisions}");
}

fn from_theirs(theirs: &TheirInstruction) -> Instruction {
    let account = |meta: &AccountMeta| Account {
        address: ours(&meta.pubkey),
        signs: meta.is_signer,
        is_written: meta.is_writable,
    };
    Instruction {
        program: ours(&theirs.program_id),
        accounts: theirs.accounts.iter().map(account).collect(),
        data: theirs.data.clone(),
    }
}

#[test]
fn derived_addresses_equal_those_of_solanas_library() {
    let mut bytes = Bytes(0x9da_9da_9da_9da);
    for round in 0..300 {
        let (one, two, owner) = (bytes.take::<32>(), bytes.take::<8>(), Address::from(bytes.take::<32>()));
        let seeds: Vec<&[u8]> = [&b"channel"[..], &one, &two, b""][..1 + round % 4].to_vec();
        let (expected, _) = Address::find_program_address(&seeds, &owner);
        assert_eq!(pda::program_address(&seeds, &ours(&owner)), Some(ours(&expected)), "round {round}");
    }
}

/// The accounts and data that Solana's own libraries give for the same payment.
fn expected_exact(terms: &Exact, payer: Address, memo: Vec<u8>) -> Vec<u8> {
    let token_account = |owner: &Address| {
        let seeds: [&[u8]; 3] = [owner.as_ref(), terms.token_program.as_ref(), terms.mint.as_ref()];
        Address::find_program_address(&seeds, &Address::from(*program::ASSOCIATED_TOKEN.bytes())).0
    };
    let (source, destination) = (token_account(&payer), token_account(&terms.payee));
    let spl = address("TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA");
    let transfer = spl_token_interface::instruction::transfer_checked(
        &spl,
        &source,
        &terms.mint,
        &destination,
        &payer,
        &[],
        terms.amount,
        terms.decimals,
    );
    let transfer = transfer.unwrap();
    let transfer = TheirInstruction {
        // The other token program takes the same call.
        program_id: terms.token_program,
        accounts: transfer.accounts,
        data: transfer.data,
    };
    let call = |program: &SolanaAddress, data: Vec<u8>| TheirInstruction {
        program_id: Address::from(*program.bytes()),
        accounts: Vec::new(),
        data,
    };
    let limit = call(&program::COMPUTE_BUDGET, [&[2][..], &20_000_u32.to_le_bytes()].concat());
    let price = call(&program::COMPUTE_BUDGET, [&[3][..], &1_u64.to_le_bytes()].concat());
    let instructions = [limit, price, transfer, call(&program::MEMO, memo)];
    compiled(&terms.fee_payer, &instructions, *SolanaAddress::parse(BLOCKHASH).unwrap().bytes())
}

struct Exact {
    payee: Address,
    mint: Address,
    fee_payer: Address,
    token_program: Address,
    amount: u64,
    decimals: u8,
}

#[test]
fn exact_equals_what_solanas_library_makes_of_random_terms() {
    let mut bytes = Bytes(0xe8ac_7e8a_c7e8_ac7e);
    for round in 0..150_usize {
        let payee = Address::from(bytes.take::<32>());
        let terms = Exact {
            payee,
            mint: Address::from(bytes.take::<32>()),
            // A merchant may pay the fee itself.
            fee_payer: if round % 3 == 0 { payee } else { Address::from(bytes.take::<32>()) },
            token_program: address(if round % 2 == 0 {
                "TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA"
            } else {
                "TokenzQdBNbLqP5VEhdkAS6EPFLC1PHnBqCXEpPxuEb"
            }),
            amount: [0, 1, u64::MAX, u64::from_be_bytes(bytes.take())][round % 4],
            decimals: bytes.take::<1>()[0],
        };
        let nonce: [u8; 32] = bytes.take();
        let stated = match round % 5 {
            0 => json!("order ✓"),
            1 => json!("m".repeat(256)),
            2 => json!(""),
            _ => Value::Null,
        };
        let offer = json!({
            "scheme": "exact", "network": "solana:EtWTRABZaYq6iMfeYKouRu166VU2xqa1", "maxTimeoutSeconds": 60,
            "amount": terms.amount.to_string(), "asset": terms.mint.to_string(), "payTo": payee.to_string(),
            "extra": {"feePayer": terms.fee_payer.to_string(), "memo": stated},
        });
        let body = json!({"x402Version": 2, "accepts": [offer]}).to_string();
        let challenge = Challenge::parse(None, body.as_bytes()).unwrap();
        let chosen = payable(&challenge.offers[0], &wallet()).unwrap();
        let asked = needs(&challenge.offers[0], &chosen, None, false);
        let facts = answered(&asked, &terms.token_program.to_string(), u64::from(terms.decimals));
        let signed = sign(&challenge, &chosen, &facts, nonce);
        let payload: Value = serde_json::from_str(&signed.payload).unwrap();
        let (_, transaction) = decode(text(&payload["transaction"]));
        let memo = match stated.as_str() {
            Some(text) if !text.is_empty() => text.into(),
            _ => alloy_primitives::hex::encode(&nonce[..16]).into_bytes(),
        };
        assert_eq!(transaction.message.serialize(), expected_exact(&terms, address(PAYER), memo), "round {round}");
    }
}
