// a key and a certificate for this machine, made by openssl, gone at the test's end.
import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { atEnd } from './at-end.js'

export interface Certificate {
  readonly certFile: string
  readonly keyFile: string
  /** What verifies it: it is its own authority. */
  readonly cert: string
  readonly key: string
}

/* Nobody's but the test's: a key that is committed would be one that somebody uses. */
export async function makeCertificate(): Promise<Certificate> {
  const folder = await mkdtemp(join(tmpdir(), 'ws-session-bridge-certificate-'))
  atEnd(() => rm(folder, { recursive: true }))
  const [certFile, keyFile] = [join(folder, 'certificate.pem'), join(folder, 'key.pem')]
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-keyout', keyFile]
  const name = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1']
  try {
    await promisify(execFile)('openssl', ['req', '-x509', '-days', '2', ...key, ...name, '-out', certFile])
  } catch (cause) {
    throw new Error('The tests need openssl: apt-get install -y openssl (macOS: brew install openssl).', { cause })
  }
  return { certFile, keyFile, cert: await readFile(certFile, 'utf8'), key: await readFile(keyFile, 'utf8') }
}
