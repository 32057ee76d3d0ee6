package envelope

import (
	"bytes"
	"crypto/aes"
	"crypto/md5"
	"crypto/rand"
	"encoding/base64"
	"strings"
	"unicode/utf8"
)

const (
	saltedMagic  = "Salted__"
	saltedMarker = "U2FsdGVkX1" // what every base64 text of bytes beginning with saltedMagic begins with
	saltSize     = 8
	saltedHeader = len(saltedMagic) + saltSize
)

// LooksPassphrase reports whether stored begins with the marker of the passphrase format, U2FsdGVkX1. Whether it is
// whole is for [OpenPassphrase] to say; a person may have typed those characters.
func LooksPassphrase(stored string) bool { return strings.HasPrefix(stored, saltedMarker) }

// SealPassphrase encrypts plaintext as CryptoJS.AES.encrypt(plaintext, passphrase).toString() does, under a salt drawn
// from crypto/rand. The plaintext may be empty and must be UTF-8 (else [KindBadPlaintext]); an empty passphrase is
// refused ([KindBadKey]), because the key was probably forgotten. The result is not protected against changes; see the package
// comment.
func SealPassphrase(plaintext, passphrase string) (string, error) {
	if passphrase == "" {
		return "", fail(KindBadKey)
	}
	if !utf8.ValidString(plaintext) {
		return "", fail(KindBadPlaintext)
	}
	var salt [saltSize]byte
	rand.Read(salt[:]) // never fails: it stops the program when the system has no randomness
	return SealPassphraseWithSalt(plaintext, passphrase, salt), nil
}

// SealPassphraseWithSalt is [SealPassphrase] with a salt of the caller's choice, for recorded vectors and tests: the same
// salt and passphrase give the same key and IV, so equal beginnings of two texts show. It checks neither argument.
func SealPassphraseWithSalt(plaintext, passphrase string, salt [8]byte) string {
	out := make([]byte, saltedHeader, saltedHeader+paddedSize(len(plaintext)))
	copy(out, saltedMagic)
	copy(out[len(saltedMagic):], salt[:])
	key := deriveSalted(passphrase, salt[:])
	defer clear(key[:])
	out, err := appendCBC(out, plaintext, key[:saltedKeySize], key[saltedKeySize:])
	if err != nil {
		panic("envelope: the derived key has a wrong size") // cannot happen: both sizes are constants
	}
	return base64.StdEncoding.EncodeToString(out)
}

// OpenPassphrase decrypts what [SealPassphrase], crypto-js or OpenSSL wrote. It is strict: every failure is an [*Error]
// with the first kind that applies, in the order of the package comment. Success does not prove that the passphrase was
// right or that the text is unchanged: the format has nothing to prove that with.
func OpenPassphrase(stored, passphrase string) (string, error) {
	if !LooksPassphrase(stored) {
		return "", fail(KindNotEncrypted)
	}
	raw, err := decodeCanonical(stored)
	if err != nil {
		return "", err
	}
	if !bytes.HasPrefix(raw, []byte(saltedMagic)) {
		return "", fail(KindNotEncrypted)
	}
	if len(raw) < saltedHeader {
		return "", fail(KindTruncated)
	}
	key := deriveSalted(passphrase, raw[len(saltedMagic):saltedHeader])
	defer clear(key[:])
	return openCBC(raw[saltedHeader:], key[:saltedKeySize], key[saltedKeySize:])
}

const saltedKeySize = 32 // AES-256

// deriveSalted is OpenSSL's EVP_BytesToKey with MD5 and one round: each digest covers the one before, the passphrase and
// the salt. Three digests give the key and the IV.
func deriveSalted(passphrase string, salt []byte) (keyIV [saltedKeySize + aes.BlockSize]byte) {
	buf := make([]byte, md5.Size+len(passphrase)+len(salt))
	copy(buf[md5.Size:], passphrase)
	copy(buf[md5.Size+len(passphrase):], salt)
	defer clear(buf)
	input := buf[md5.Size:] // the first digest has none before it
	for at := 0; at < len(keyIV); at += md5.Size {
		digest := md5.Sum(input)
		copy(keyIV[at:], digest[:])
		copy(buf, digest[:])
		input = buf
	}
	return keyIV
}

// decodeCanonical decodes standard base64 and accepts one spelling only. encoding/base64 skips line breaks even when
// strict, so the length is checked against what the bytes encode to.
func decodeCanonical(text string) ([]byte, error) {
	raw, err := base64.StdEncoding.Strict().DecodeString(text)
	if err != nil || base64.StdEncoding.EncodedLen(len(raw)) != len(text) {
		return nil, fail(KindBadBase64)
	}
	return raw, nil
}
