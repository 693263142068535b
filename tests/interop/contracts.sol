// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.0;

/// A dollar with EIP-3009 and EIP-2612, as much of them as payments touch, under the name and version that
/// USDC has on Base Sepolia. There is no constructor: the code is placed at the known address, and
/// balances are written into slot 0 and allowances into slot 2, so that what is signed for is the real asset's domain.
contract Dollar {
    string public constant name = "USDC";
    string public constant symbol = "USDC";
    string public constant version = "2";
    uint8 public constant decimals = 6;

    mapping(address => uint256) public balanceOf; // slot 0: the suite funds accounts here
    mapping(address => mapping(bytes32 => bool)) public authorizationState;
    mapping(address => mapping(address => uint256)) public allowance; // slot 2: owner, spender
    mapping(address => uint256) public nonces;

    event Transfer(address indexed from, address indexed to, uint256 value);
    event AuthorizationUsed(address indexed authorizer, bytes32 indexed nonce);

    bytes32 private constant AUTHORIZATION_TYPE = keccak256(
        "TransferWithAuthorization(address from,address to,uint256 value,uint256 validAfter,uint256 validBefore,bytes32 nonce)"
    );
    bytes32 private constant PERMIT_TYPE =
        keccak256("Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)");
    // Above half the order of secp256k1 a signature is the mirror of another one, and refused.
    uint256 private constant S_MAX = 0x7FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF5D576E7357A4501DDFE92F46681B20A0;

    function DOMAIN_SEPARATOR() public view returns (bytes32) {
        return keccak256(
            abi.encode(
                keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"),
                keccak256(bytes(name)),
                keccak256(bytes(version)),
                block.chainid,
                address(this)
            )
        );
    }

    function transfer(address to, uint256 value) external returns (bool) {
        move(msg.sender, to, value);
        return true;
    }

    function transferFrom(address from, address to, uint256 value) external returns (bool) {
        require(allowance[from][msg.sender] >= value, "transfer amount exceeds allowance");
        allowance[from][msg.sender] -= value;
        move(from, to, value);
        return true;
    }

    function permit(
        address owner, address spender, uint256 value, uint256 deadline, uint8 v, bytes32 r, bytes32 s
    ) external {
        require(block.timestamp <= deadline, "permit is expired");
        bytes32 message = keccak256(abi.encode(PERMIT_TYPE, owner, spender, value, nonces[owner]++, deadline));
        address signer = ecrecover(keccak256(abi.encodePacked("\x19\x01", DOMAIN_SEPARATOR(), message)), v, r, s);
        require(signer != address(0) && signer == owner, "invalid signature");
        allowance[owner][spender] = value;
    }

    function transferWithAuthorization(
        address from, address to, uint256 value, uint256 validAfter, uint256 validBefore, bytes32 nonce,
        uint8 v, bytes32 r, bytes32 s
    ) external {
        bytes32 digest = open(from, to, value, validAfter, validBefore, nonce);
        require(uint256(s) <= S_MAX && (v == 27 || v == 28), "invalid signature");
        address signer = ecrecover(digest, v, r, s);
        require(signer != address(0) && signer == from, "invalid signature");
        close(from, to, value, nonce);
    }

    function transferWithAuthorization(
        address from, address to, uint256 value, uint256 validAfter, uint256 validBefore, bytes32 nonce,
        bytes calldata signature
    ) external {
        bytes32 digest = open(from, to, value, validAfter, validBefore, nonce);
        require(signedBy(from, digest, signature), "invalid signature");
        close(from, to, value, nonce);
    }

    function open(
        address from, address to, uint256 value, uint256 validAfter, uint256 validBefore, bytes32 nonce
    ) private view returns (bytes32) {
        require(block.timestamp > validAfter, "authorization is not yet valid");
        require(block.timestamp < validBefore, "authorization is expired");
        require(!authorizationState[from][nonce], "authorization is used or canceled");
        bytes32 message =
            keccak256(abi.encode(AUTHORIZATION_TYPE, from, to, value, validAfter, validBefore, nonce));
        return keccak256(abi.encodePacked("\x19\x01", DOMAIN_SEPARATOR(), message));
    }

    function close(address from, address to, uint256 value, bytes32 nonce) private {
        authorizationState[from][nonce] = true;
        emit AuthorizationUsed(from, nonce);
        move(from, to, value);
    }

    /// r || s || v of the account itself, or whatever its contract accepts (ERC-1271).
    function signedBy(address from, bytes32 digest, bytes calldata signature) private view returns (bool) {
        if (from.code.length > 0) {
            (bool answered, bytes memory answer) =
                from.staticcall(abi.encodeWithSelector(0x1626ba7e, digest, signature));
            return answered && answer.length >= 32 && abi.decode(answer, (bytes4)) == bytes4(0x1626ba7e);
        }
        if (signature.length != 65) return false;
        bytes32 s = bytes32(signature[32:64]);
        if (uint256(s) > S_MAX) return false;
        address signer = ecrecover(digest, uint8(signature[64]), bytes32(signature[0:32]), s);
        return signer != address(0) && signer == from;
    }

    function move(address from, address to, uint256 value) private {
        require(to != address(0), "transfer to the zero address");
        require(balanceOf[from] >= value, "transfer amount exceeds balance");
        balanceOf[from] -= value;
        balanceOf[to] += value;
        emit Transfer(from, to, value);
    }
}

struct TokenPermissions { address token; uint256 amount; }
struct PermitTransferFrom { TokenPermissions permitted; uint256 nonce; uint256 deadline; }
struct TransferDetails { address to; uint256 requestedAmount; }

/// What Permit2's SignatureTransfer does for one token with a witness, under the domain of the real one.
contract Permits {
    mapping(address => mapping(uint256 => uint256)) public nonceBitmap;

    function DOMAIN_SEPARATOR() public view returns (bytes32) {
        bytes32 kind = keccak256("EIP712Domain(string name,uint256 chainId,address verifyingContract)");
        return keccak256(abi.encode(kind, keccak256("Permit2"), block.chainid, address(this)));
    }

    function permitWitnessTransferFrom(
        PermitTransferFrom calldata permit, TransferDetails calldata details, address owner, bytes32 witness,
        string calldata witnessType, bytes calldata signature
    ) external {
        require(block.timestamp <= permit.deadline, "signature expired");
        require(details.requestedAmount <= permit.permitted.amount, "invalid amount");
        uint256 bit = 1 << (permit.nonce & 0xff);
        require(nonceBitmap[owner][permit.nonce >> 8] & bit == 0, "invalid nonce");
        nonceBitmap[owner][permit.nonce >> 8] |= bit;
        bytes32 digest = keccak256(
            abi.encodePacked("\x19\x01", DOMAIN_SEPARATOR(), messageOf(permit, witness, witnessType))
        );
        require(signature.length == 65, "invalid signature length");
        address signer =
            ecrecover(digest, uint8(signature[64]), bytes32(signature[0:32]), bytes32(signature[32:64]));
        require(signer != address(0) && signer == owner, "invalid signer");
        Dollar(permit.permitted.token).transferFrom(owner, details.to, details.requestedAmount);
    }

    /// The spender is who calls: a signature for one contract is none for another.
    function messageOf(PermitTransferFrom calldata permit, bytes32 witness, string calldata witnessType)
        private view returns (bytes32)
    {
        bytes32 kind = keccak256(
            abi.encodePacked(
                "PermitWitnessTransferFrom(TokenPermissions permitted,address spender,uint256 nonce,uint256 deadline,",
                witnessType
            )
        );
        bytes32 token = keccak256(
            abi.encode(
                keccak256("TokenPermissions(address token,uint256 amount)"),
                permit.permitted.token,
                permit.permitted.amount
            )
        );
        return keccak256(abi.encode(kind, token, msg.sender, permit.nonce, permit.deadline, witness));
    }
}

struct TokenPermit { uint256 value; uint256 deadline; bytes32 r; bytes32 s; uint8 v; }

/// What x402's two contracts share: they ask Permit2 to pay the payee that the payer signed for, and nobody else.
abstract contract Settles {
    address public constant PERMIT2 = 0x000000000022D473030F116dDEE9F6B43aC78BA3;

    event Settled();
    event SettledWithPermit();

    function approve(TokenPermit calldata given, PermitTransferFrom calldata permit, address owner) internal {
        require(given.value == permit.permitted.amount, "permit for another amount");
        Dollar(permit.permitted.token).permit(owner, PERMIT2, given.value, given.deadline, given.v, given.r, given.s);
    }
}

/// The contract of the scheme `exact`.
contract SettlesExact is Settles {
    struct Witness { address to; uint256 validAfter; }

    string public constant WITNESS_TYPE_STRING =
        "Witness witness)TokenPermissions(address token,uint256 amount)Witness(address to,uint256 validAfter)";

    function settle(
        PermitTransferFrom calldata permit, address owner, Witness calldata witness, bytes calldata signature
    ) external {
        pay(permit, owner, witness, signature);
        emit Settled();
    }

    function settleWithPermit(
        TokenPermit calldata given, PermitTransferFrom calldata permit, address owner, Witness calldata witness,
        bytes calldata signature
    ) external {
        approve(given, permit, owner);
        pay(permit, owner, witness, signature);
        emit SettledWithPermit();
    }

    function pay(
        PermitTransferFrom calldata permit, address owner, Witness calldata witness, bytes calldata signature
    ) private {
        require(block.timestamp >= witness.validAfter, "payment is too early");
        bytes32 hash = keccak256(
            abi.encode(keccak256("Witness(address to,uint256 validAfter)"), witness.to, witness.validAfter)
        );
        Permits(PERMIT2).permitWitnessTransferFrom(
            permit, TransferDetails(witness.to, permit.permitted.amount), owner, hash, WITNESS_TYPE_STRING, signature
        );
    }
}

/// The contract of the scheme `upto`: the facilitator that was signed for says how much of the ceiling is taken.
contract SettlesUpTo is Settles {
    struct Witness { address to; address facilitator; uint256 validAfter; }

    string public constant WITNESS_TYPE_STRING =
        "Witness witness)TokenPermissions(address token,uint256 amount)Witness(address to,address facilitator,uint256 validAfter)";

    function settle(
        PermitTransferFrom calldata permit, uint256 amount, address owner, Witness calldata witness,
        bytes calldata signature
    ) external {
        require(msg.sender == witness.facilitator, "not the facilitator that was signed for");
        require(block.timestamp >= witness.validAfter, "payment is too early");
        require(amount <= permit.permitted.amount, "amount exceeds what is permitted");
        bytes32 kind = keccak256("Witness(address to,address facilitator,uint256 validAfter)");
        bytes32 hash = keccak256(abi.encode(kind, witness.to, witness.facilitator, witness.validAfter));
        Permits(PERMIT2).permitWitnessTransferFrom(
            permit, TransferDetails(witness.to, amount), owner, hash, WITNESS_TYPE_STRING, signature
        );
        emit Settled();
    }
}

/// The one function of Multicall3 through which the facilitator asks why a payment would fail.
contract Calls {
    struct Call { address target; bytes callData; }
    struct Result { bool success; bytes returnData; }

    function tryAggregate(bool requireSuccess, Call[] calldata calls)
        external payable returns (Result[] memory results)
    {
        results = new Result[](calls.length);
        for (uint256 i = 0; i < calls.length; i++) {
            (bool success, bytes memory returnData) = calls[i].target.call(calls[i].callData);
            require(success || !requireSuccess, "a call failed");
            results[i] = Result(success, returnData);
        }
    }
}
