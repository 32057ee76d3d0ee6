package envelope

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"encoding/base64"
	"unicode/utf8"
)

// SealRaw encrypts plaintext with AES-CBC and PKCS#7 under key (16, 24 or 32 bytes) and iv (16 bytes) as they are, and
// gives bare base64 without a marker: CryptoJS.AES.encrypt(plaintext, key, {iv}).toString(). The IV must be unpredictable
// and used once. Errors are [KindBadKey], [KindBadIV] and [KindBadPlaintext]. Neither slice is kept or changed.
func SealRaw(plaintext string, key, iv []byte) (string, error) {
	if !utf8.ValidString(plaintext) {
		return "", fail(KindBadPlaintext)
	}
	out, err := appendCBC(make([]byte, 0, paddedSize(len(plaintext))), plaintext, key, iv)
	if err != nil {
		return "", err
	}
	return base64.StdEncoding.EncodeToString(out), nil
}

// OpenRaw decrypts what [SealRaw] wrote. Mistakes in key and iv come first ([KindBadKey], [KindBadIV]), then [KindBadBase64],
// [KindTruncated], [KindBadPadding] and [KindBadUTF8]. Nothing is authenticated: a wrong iv spoils only the first block, and
// a chosen change of the iv changes that block in a chosen way.
func OpenRaw(stored string, key, iv []byte) (string, error) {
	if _, err := newCBC(key, iv); err != nil {
		return "", err
	}
	raw, err := decodeCanonical(stored)
	if err != nil {
		return "", err
	}
	return openCBC(raw, key, iv)
}

// paddedSize is the size of n bytes with PKCS#7 padding, which always adds 1 to 16 bytes.
func paddedSize(n int) int { return n + aes.BlockSize - n%aes.BlockSize }

func newCBC(key, iv []byte) (cipher.Block, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fail(KindBadKey) // the library's error is dropped: ours names the field
	}
	if len(iv) != aes.BlockSize {
		return nil, fail(KindBadIV)
	}
	return block, nil
}

// appendCBC appends the padded and encrypted plaintext to dst.
func appendCBC(dst []byte, plaintext string, key, iv []byte) ([]byte, error) {
	block, err := newCBC(key, iv)
	if err != nil {
		return nil, err
	}
	start := len(dst)
	pad := paddedSize(len(plaintext)) - len(plaintext)
	dst = append(dst, plaintext...)
	for range pad {
		dst = append(dst, byte(pad))
	}
	cipher.NewCBCEncrypter(block, iv).CryptBlocks(dst[start:], dst[start:])
	return dst, nil
}

// openCBC decrypts body in place and checks it.
func openCBC(body, key, iv []byte) (string, error) {
	block, err := newCBC(key, iv)
	if err != nil {
		return "", err
	}
	if len(body) == 0 || len(body)%aes.BlockSize != 0 {
		return "", fail(KindTruncated)
	}
	cipher.NewCBCDecrypter(block, iv).CryptBlocks(body, body)
	pad := int(body[len(body)-1])
	if pad == 0 || pad > aes.BlockSize {
		return "", fail(KindBadPadding)
	}
	text, padding := body[:len(body)-pad], body[len(body)-pad:]
	if bytes.Count(padding, padding[:1]) != pad {
		return "", fail(KindBadPadding)
	}
	if !utf8.Valid(text) {
		return "", fail(KindBadUTF8)
	}
	return string(text), nil
}
