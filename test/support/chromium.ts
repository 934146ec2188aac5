// a running one with a fresh profile, closed at the test's end.
import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'
import { chromium, type Browser } from 'playwright-core'
import { atEnd } from './at-end.js'

// setup.sh looks for the same names.
const commands = ['chromium', 'chromium-browser', 'google-chrome']
const macApps = ['Google Chrome', 'Chromium'].map((name) => `/Applications/${name}.app/Contents/MacOS/${name}`)

const args = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
]

/** Set CHROMIUM_PATH to use another than the first on the PATH. */
export async function startChromium(): Promise<Browser> {
  const browser = await chromium.launch({ executablePath: executable(), args })
  atEnd(() => browser.close())
  return browser
}

function executable(): string {
  const given = process.env.CHROMIUM_PATH
  if (given) return given
  const folders = (process.env.PATH ?? '').split(delimiter)
  const candidates = commands.flatMap((command) => folders.map((folder) => join(folder, command)))
  const found = [...candidates, ...macApps].find(isExecutable)
  if (found) return found
  throw new Error(
    'The tests need Chromium: apt-get install -y chromium (macOS: brew install --cask google-chrome), or set CHROMIUM_PATH.',
  )
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}
