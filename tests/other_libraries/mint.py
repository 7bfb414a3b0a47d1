"""Tokens of a Python library, one JSON line each: the algorithm, the key as a JWK, and the token.

Arguments: the library, the claims, the algorithms.
"""

import json
import secrets
import sys

CURVES = {"ES256": "P-256", "ES384": "P-384", "ES512": "P-521"}


def pyjwt(alg, claims, header):
    import jwt
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

    algorithm = jwt.get_algorithm_by_name(alg)
    if alg.startswith("HS"):
        key = public = secrets.token_bytes(64)
    else:
        if alg in CURVES:
            curves = {"ES256": ec.SECP256R1, "ES384": ec.SECP384R1, "ES512": ec.SECP521R1}
            key = ec.generate_private_key(curves[alg]())
        elif alg == "EdDSA":
            key = ed25519.Ed25519PrivateKey.generate()
        else:
            key = rsa.generate_private_key(65537, 2048)
        public = key.public_key()
    return algorithm.to_jwk(public, as_dict=True), jwt.encode(claims, key, alg, headers=header)


def joserfc(alg, claims, header):
    from joserfc import jwt
    from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey

    if alg.startswith("HS"):
        key = OctKey.generate_key(512)
    elif alg in CURVES:
        key = ECKey.generate_key(CURVES[alg])
    elif alg.startswith("Ed"):
        key = OKPKey.generate_key("Ed25519")
    else:
        key = RSAKey.generate_key(2048)
    token = jwt.encode({"alg": alg, **header}, claims, key, algorithms=[alg])
    return key.as_dict(private=alg.startswith("HS")), token


def jwcrypto(alg, claims, header):
    from jwcrypto.jwk import JWK
    from jwcrypto.jwt import JWT

    if alg.startswith("HS"):
        key = JWK.generate(kty="oct", size=512)
    elif alg in CURVES:
        key = JWK.generate(kty="EC", crv=CURVES[alg])
    elif alg.startswith("Ed"):
        key = JWK.generate(kty="OKP", crv="Ed25519")
    else:
        key = JWK.generate(kty="RSA", size=2048)
    token = JWT(header={"alg": alg, **header}, claims=claims, algs=[alg])
    token.make_signed_token(key)
    shown = key.export_symmetric if alg.startswith("HS") else key.export_public
    return shown(as_dict=True), token.serialize()


def main(library, claims, *algorithms):
    mint = {"pyjwt": pyjwt, "joserfc": joserfc, "jwcrypto": jwcrypto}[library]
    for alg in algorithms:
        jwk, token = mint(alg, json.loads(claims), {"typ": "JWT", "kid": alg})
        print(json.dumps({"alg": alg, "jwk": {**jwk, "alg": alg, "kid": alg}, "token": token}))


main(*sys.argv[1:])
