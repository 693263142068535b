//! The struct types that payments on EVM chains sign (EIP-3009, EIP-2612, Permit2, and the contracts of x402).
//!
//! Owns their members, which are part of each signature: a name or an order that is off by one letter makes a signature
//! that nobody accepts. Must not know where the values come from.

use super::eip712::Struct;

/// EIP-3009.
pub static TRANSFER_WITH_AUTHORIZATION: Struct = Struct::new("TransferWithAuthorization", AUTHORIZATION, &[]);

/// EIP-3009, where only the receiver may hand it in.
pub static RECEIVE_WITH_AUTHORIZATION: Struct = Struct::new("ReceiveWithAuthorization", AUTHORIZATION, &[]);

const AUTHORIZATION: &[(&str, &str)] = &[
    ("address", "from"),
    ("address", "to"),
    ("uint256", "value"),
    ("uint256", "validAfter"),
    ("uint256", "validBefore"),
    ("bytes32", "nonce"),
];

/// EIP-2612.
pub static PERMIT: Struct = Struct::new(
    "Permit",
    &[
        ("address", "owner"),
        ("address", "spender"),
        ("uint256", "value"),
        ("uint256", "nonce"),
        ("uint256", "deadline"),
    ],
    &[],
);

/// Permit2.
pub static TOKEN_PERMISSIONS: Struct =
    Struct::new("TokenPermissions", &[("address", "token"), ("uint256", "amount")], &[]);

const PERMIT_WITNESS: &[(&str, &str)] = &[
    ("TokenPermissions", "permitted"),
    ("address", "spender"),
    ("uint256", "nonce"),
    ("uint256", "deadline"),
    ("Witness", "witness"),
];

/// Permit2 with the witness of x402's proxy for the scheme `exact`.
pub static EXACT_PERMIT: Struct =
    Struct::new("PermitWitnessTransferFrom", PERMIT_WITNESS, &[&TOKEN_PERMISSIONS, &EXACT_WITNESS]);
pub static EXACT_WITNESS: Struct = Struct::new("Witness", &[("address", "to"), ("uint256", "validAfter")], &[]);

/// Permit2 with the witness of x402's proxy for the scheme `upto`.
pub static UPTO_PERMIT: Struct =
    Struct::new("PermitWitnessTransferFrom", PERMIT_WITNESS, &[&TOKEN_PERMISSIONS, &UPTO_WITNESS]);
pub static UPTO_WITNESS: Struct =
    Struct::new("Witness", &[("address", "to"), ("address", "facilitator"), ("uint256", "validAfter")], &[]);

/// Permit2 without a witness.
pub static PERMIT_TRANSFER: Struct = Struct::new(
    "PermitTransferFrom",
    &[("TokenPermissions", "permitted"), ("address", "spender"), ("uint256", "nonce"), ("uint256", "deadline")],
    &[&TOKEN_PERMISSIONS],
);

/// The terms of an escrow (scheme `auth-capture`); hashed, and signed only as a nonce.
pub static PAYMENT_INFO: Struct = Struct::new(
    "PaymentInfo",
    &[
        ("address", "operator"),
        ("address", "payer"),
        ("address", "receiver"),
        ("address", "token"),
        ("uint120", "maxAmount"),
        ("uint48", "preApprovalExpiry"),
        ("uint48", "authorizationExpiry"),
        ("uint48", "refundExpiry"),
        ("uint16", "minFeeBps"),
        ("uint16", "maxFeeBps"),
        ("address", "feeReceiver"),
        ("uint256", "salt"),
    ],
    &[],
);

/// What binds the salt of an escrow to those who have a say in it (scheme `auth-capture`); hashed only.
pub static SALT_BINDING: Struct = Struct::new(
    "x402AuthCaptureSaltBinding",
    &[("address", "receiverAuthorizer"), ("address", "policy"), ("uint256", "saltNonce")],
    &[],
);

/// A channel's terms (scheme `batch-settlement`); their digest is its name.
pub static CHANNEL_CONFIG: Struct = Struct::new(
    "ChannelConfig",
    &[
        ("address", "payer"),
        ("address", "payerAuthorizer"),
        ("address", "receiver"),
        ("address", "receiverAuthorizer"),
        ("address", "token"),
        ("uint40", "withdrawDelay"),
        ("bytes32", "salt"),
    ],
    &[],
);

/// How much of a channel is the payee's (scheme `batch-settlement`).
pub static VOUCHER: Struct =
    Struct::new("Voucher", &[("bytes32", "channelId"), ("uint128", "maxClaimableAmount")], &[]);

/// Permit2 with the witness of a deposit into a channel (scheme `batch-settlement`).
pub static DEPOSIT_PERMIT: Struct = Struct::new(
    "PermitWitnessTransferFrom",
    &[
        ("TokenPermissions", "permitted"),
        ("address", "spender"),
        ("uint256", "nonce"),
        ("uint256", "deadline"),
        ("DepositWitness", "witness"),
    ],
    &[&DEPOSIT_WITNESS, &TOKEN_PERMISSIONS],
);
pub static DEPOSIT_WITNESS: Struct = Struct::new("DepositWitness", &[("bytes32", "channelId")], &[]);

/// Every type here.
#[cfg(test)]
pub(super) static ALL: [&Struct; 15] = [
    &CHANNEL_CONFIG,
    &VOUCHER,
    &DEPOSIT_PERMIT,
    &DEPOSIT_WITNESS,
    &PERMIT,
    &TRANSFER_WITH_AUTHORIZATION,
    &RECEIVE_WITH_AUTHORIZATION,
    &TOKEN_PERMISSIONS,
    &EXACT_PERMIT,
    &EXACT_WITNESS,
    &UPTO_PERMIT,
    &UPTO_WITNESS,
    &PERMIT_TRANSFER,
    &PAYMENT_INFO,
    &SALT_BINDING,
];
