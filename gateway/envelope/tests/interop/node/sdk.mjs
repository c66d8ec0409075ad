// Seals or opens messages with the official AWS Encryption SDK for Node: one JSON job a line in, one JSON answer a line out.
//
// {"do": "seal" | "open", "input": FILE, "output": FILE, "keys": [KEY, ..], "frame": LENGTH, "signed": true | false, "context": {..}}
// It seals to all of the keys, and opens with any of them. KEY: {"kind": "aes", "hex": ..} or {"kind": "rsa-sha256" | "rsa-sha1", "private": PEM, "public": PEM}, each with "namespace" and "name".
// Answer: {"context": {..}} or {"refused": TEXT}.

import { readFileSync, writeFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import {
  AlgorithmSuiteIdentifier,
  buildClient,
  CommitmentPolicy,
  MultiKeyringNode,
  RawAesKeyringNode,
  RawAesWrappingSuiteIdentifier,
  RawRsaKeyringNode,
} from '@aws-crypto/client-node'

const { encrypt, decrypt } = buildClient(CommitmentPolicy.REQUIRE_ENCRYPT_REQUIRE_DECRYPT)

function keyring(key) {
  const address = { keyNamespace: key.namespace, keyName: key.name }
  if (key.kind === 'aes') {
    return new RawAesKeyringNode({
      ...address,
      // The SDK wants memory that nothing else shares.
      unencryptedMasterKey: Uint8Array.from(Buffer.from(key.hex, 'hex')),
      wrappingSuite: RawAesWrappingSuiteIdentifier.AES256_GCM_IV12_TAG16_NO_PADDING,
    })
  }
  return new RawRsaKeyringNode({
    ...address,
    rsaKey: { privateKey: key.private, publicKey: key.public },
    oaepHash: key.kind === 'rsa-sha1' ? 'sha1' : 'sha256',
  })
}

function keyrings(keys) {
  const [generator, ...children] = keys.map(keyring)
  return new MultiKeyringNode({ generator, children })
}

async function seal(job) {
  const { result } = await encrypt(keyrings(job.keys), readFileSync(job.input), {
    encryptionContext: job.context,
    frameLength: job.frame,
    suiteId: job.signed
      ? AlgorithmSuiteIdentifier.ALG_AES256_GCM_IV12_TAG16_HKDF_SHA512_COMMIT_KEY_ECDSA_P384
      : AlgorithmSuiteIdentifier.ALG_AES256_GCM_IV12_TAG16_HKDF_SHA512_COMMIT_KEY,
  })
  writeFileSync(job.output, result)
  return {}
}

async function open(job) {
  const { plaintext, messageHeader } = await decrypt(keyrings(job.keys), readFileSync(job.input))
  writeFileSync(job.output, plaintext)
  return { context: { ...messageHeader.encryptionContext } }
}

for await (const line of createInterface({ input: process.stdin })) {
  const job = JSON.parse(line)
  let answer
  try {
    answer = await (job.do === 'seal' ? seal(job) : open(job))
  } catch (error) {
    answer = { refused: String(error) }
  }
  console.log(JSON.stringify(answer))
}
