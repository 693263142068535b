//! The scheme `upto` on Solana (x402 v2): a payment channel that holds the most that may be taken.
//!
//! Owns what the offer must say beside the common members, the call that opens the channel, and the payload. Must not
//! know how a channel is settled: the receiver's side signs for what was used, and the program gives the rest back. The
//! whole deposit counts as spent, because nothing that is signed here says how much will be taken.

use super::exact::{compute_budget, note};
use super::message::{Account, Instruction};
use super::pda::{Holding, program_address};
use super::program;
use super::terms::{Terms, Token, extra_address, extra_number, optional_text};
use crate::error::printable;
use crate::money::SolanaAddress;
use crate::protocol::{Offer, Version};
use crate::scheme::{Facts, Need, VALIDITY_S_MAX};
use std::fmt::Write;
use std::sync::OnceLock;
use zeroize::Zeroizing;

const COMPUTE_UNITS: u32 = 90_000;
/// The longest that a deposit may be kept after its owner asked for it back.
const WITHDRAW_DELAY_S_MAX: u64 = 30 * 86_400;
/// All of what is settled goes to the payee, in hundredths of a percent.
const WHOLE_BPS: u16 = 10_000;
const OPEN: u8 = 1;

/// Base64 of a whole transaction, and the members beside it.
const PAYLOAD_BYTES_MAX: usize = 3072;

/// The members of an offer that only this scheme has.
pub(super) struct Channel {
    receiver_authorizer: SolanaAddress,
    withdraw_delay_s: u32,
    recent_slot: Option<u64>,
    /// When the server will take the payment from on, seconds since 1970.
    valid_after_s: Option<u64>,
    timeout_s: u64,
}

/// What is signed and what is told about it.
pub(super) struct Opening {
    pub instructions: Vec<Instruction>,
    channel: SolanaAddress,
    salt: u64,
    slot: u64,
}

impl Channel {
    /// Checks `offer`; the error begins with the name of the field in the way.
    pub fn read(offer: &Offer) -> Result<Channel, String> {
        if offer.version == Version::V1 {
            return Err("scheme is upto, which x402 version 1 does not have".into());
        }
        match optional_text(offer, "paymentFlow")? {
            None | Some("escrow") => (),
            Some(other) => {
                return Err(format!("extra.paymentFlow is {:?}, but upto has escrow alone", printable(other)));
            }
        }
        let missing = |field: &str| format!("extra.{field} is missing, but the channel cannot be opened without it");
        let receiver_authorizer =
            extra_address(offer, "receiverAuthorizer")?.ok_or_else(|| missing("receiverAuthorizer"))?;
        let delay = extra_number(offer, "withdrawDelay")?.ok_or_else(|| missing("withdrawDelay"))?;
        let withdraw_delay_s = u32::try_from(delay).ok().filter(|_| (1..=WITHDRAW_DELAY_S_MAX).contains(&delay));
        let withdraw_delay_s = withdraw_delay_s.ok_or_else(|| {
            format!("extra.withdrawDelay is {delay}, but must be 1 to {WITHDRAW_DELAY_S_MAX} seconds")
        })?;
        Ok(Channel {
            receiver_authorizer,
            withdraw_delay_s,
            recent_slot: extra_number(offer, "recentSlot")?,
            valid_after_s: extra_number(offer, "validAfter")?,
            timeout_s: offer.max_timeout_s.min(VALIDITY_S_MAX),
        })
    }

    pub fn check_payer(&self, payer: &SolanaAddress) -> Result<(), String> {
        if self.receiver_authorizer == *payer {
            return Err("extra.receiverAuthorizer is the payer, who would sign for what is taken".into());
        }
        Ok(())
    }

    pub fn needs(&self) -> Option<Need> {
        self.recent_slot.is_none().then_some(Need::SolanaSlot)
    }

    fn slot(&self, facts: &Facts) -> Result<u64, String> {
        let fact = || facts.get(&Need::SolanaSlot).and_then(|slot| slot.parse().ok());
        self.recent_slot.or_else(fact).ok_or_else(|| "extra.recentSlot is missing, and no node gave a slot".into())
    }

    /// The call that moves the deposit into a new channel, which `salt` makes another one each time.
    pub fn open(
        &self,
        terms: &Terms<'_>,
        token: Token,
        payer: SolanaAddress,
        facts: &Facts,
        (salt, memo): (u64, Vec<u8>),
    ) -> Result<Opening, String> {
        let slot = self.slot(facts)?;
        let none = || "extra.receiverAuthorizer and the others give no address for the channel".to_string();
        let (salt_bytes, slot_bytes) = (salt.to_le_bytes(), slot.to_le_bytes());
        let seeds: [&[u8]; 7] = [
            b"channel",
            payer.bytes(),
            terms.fee_payer.bytes(),
            terms.mint.bytes(),
            self.receiver_authorizer.bytes(),
            &salt_bytes,
            &slot_bytes,
        ];
        let channel = program_address(&seeds, &program::CHANNELS).ok_or_else(none)?;
        let account = |owner| Holding { owner, token_program: token.program, mint: terms.mint }.account();
        let (source, escrow) = account(payer).zip(account(channel)).ok_or_else(none)?;
        let event_authority = event_authority().ok_or_else(none)?;
        let accounts = vec![
            Account::written(payer).signing(),
            // It pays the rent and is the channel's payee, with no share.
            Account::written(terms.fee_payer).signing(),
            Account::read(terms.fee_payer),
            Account::read(terms.mint),
            Account::read(self.receiver_authorizer),
            Account::written(channel),
            Account::written(source),
            Account::written(escrow),
            Account::read(token.program),
            Account::read(program::SYSTEM),
            Account::read(program::RENT_SYSVAR),
            Account::read(program::ASSOCIATED_TOKEN),
            Account::read(event_authority),
            Account::read(program::CHANNELS),
        ];
        let data = self.open_data(terms, salt, slot);
        let [limit, price] = compute_budget(COMPUTE_UNITS);
        let open = Instruction { program: program::CHANNELS, accounts, data };
        Ok(Opening { instructions: vec![limit, price, open, note(memo)], channel, salt, slot })
    }

    fn open_data(&self, terms: &Terms<'_>, salt: u64, slot: u64) -> Vec<u8> {
        let mut data = vec![OPEN];
        data.extend(salt.to_le_bytes());
        data.extend(terms.amount.to_le_bytes());
        data.extend(self.withdraw_delay_s.to_le_bytes());
        data.extend(slot.to_le_bytes());
        // One recipient.
        data.extend(1_u32.to_le_bytes());
        data.extend(terms.payee.bytes());
        data.extend(WHOLE_BPS.to_le_bytes());
        data
    }

    /// When the server must have settled, seconds since 1970. Its receiver signs for it; the channel does not know it.
    pub fn expires_s(&self, now_s: u64) -> u64 {
        now_s.saturating_add(self.timeout_s)
    }

    /// Nothing in it needs an escape. The order of the members is that of the official TypeScript client.
    pub fn payload(
        &self,
        terms: &Terms<'_>,
        opening: &Opening,
        payer: SolanaAddress,
        now_s: u64,
        transaction_base64: &str,
    ) -> Zeroizing<String> {
        let Opening { channel, salt, slot, .. } = opening;
        let (amount, authorizer) = (terms.amount, self.receiver_authorizer);
        let (expires_s, valid_after_s) = (self.expires_s(now_s), self.valid_after_s.unwrap_or(now_s));
        let mut json = Zeroizing::new(String::with_capacity(PAYLOAD_BYTES_MAX));
        // Writing to a String cannot fail.
        let _ =
            write!(json, r#"{{"channelId":"{channel}","deposit":"{amount}","expiresAt":{expires_s},"from":"{payer}","#);
        let _ = write!(json, r#""maxAmount":"{amount}","nonce":"{salt}","openSlot":"{slot}","#);
        let _ = write!(json, r#""openTransaction":"{transaction_base64}","authorizedSigner":"{authorizer}","#);
        let _ = write!(json, r#""validAfter":{valid_after_s}}}"#);
        json
    }
}

/// The account in whose name the program reports.
fn event_authority() -> Option<SolanaAddress> {
    static ADDRESS: OnceLock<Option<SolanaAddress>> = OnceLock::new();
    *ADDRESS.get_or_init(|| program_address(&[b"event_authority"], &program::CHANNELS))
}
