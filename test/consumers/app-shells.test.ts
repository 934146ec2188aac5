import { describe, expect, it } from 'vitest'
import type { SessionBridgeOptions } from 'ws-session-bridge'
import { startApp } from '../support/app.js'
import { open, refused } from '../support/client.js'

// #region docs
const origins = [
  'same-origin', // the website
  'capacitor://localhost', // Capacitor on iOS
  'https://localhost', // Capacitor on Android
  'tauri://localhost', // Tauri on macOS and Linux
  'http://tauri.localhost', // Tauri on Windows
  'app://-', // Electron with a protocol of its own
  'file://', // Electron with loadFile()
]
// #endregion

// #region docs
const cookie = { sameSite: 'none', secure: true } as const
// #endregion

describe('pages of an app shell', () => {
  const shells = origins.filter((origin) => origin !== 'same-origin')
  const startWith = (bridge: Partial<SessionBridgeOptions>) =>
    startApp({ session: { cookie: { ...cookie, maxAge: 3_600_000 }, proxy: true, rolling: true }, bridge })

  /** A login as the shell's own request makes it: its cookie may come along from another site. */
  async function loginAt(url: string): Promise<string> {
    const response = await fetch(`${url}/login?name=ada`, {
      method: 'POST',
      headers: { 'X-Forwarded-Proto': 'https' },
    })
    await response.text()
    const [setCookie = ''] = response.headers.getSetCookie()
    expect(setCookie).toMatch(/; Secure; SameSite=None/)
    return setCookie.split(';', 1)[0]!
  }

  it('get in where their origins are listed, and so does the website', async () => {
    const { url, wsUrl } = await startWith({ origins })
    const cookie = await loginAt(url)
    for (const origin of [...shells, url]) {
      const { ws } = await open(wsUrl, { cookie, origin })
      expect(ws.readyState, origin).toBe(ws.OPEN)
    }
  })

  it('do not get in by default, and no other page gets in by the list', async () => {
    const [byDefault, listed] = [await startWith({}), await startWith({ origins })]
    const cookie = await loginAt(byDefault.url)
    for (const origin of shells) expect((await refused(byDefault.wsUrl, { cookie, origin })).status, origin).toBe(403)
    for (const origin of ['null', 'https://evil.example', 'capacitor://evil', 'file://evil', 'app://-/page']) {
      expect((await refused(listed.wsUrl, { cookie, origin })).status, origin).toBe(403)
    }
  })

  it('and native clients that send no Origin get in, unless requireOrigin is set', async () => {
    const [byDefault, required] = [await startWith({}), await startWith({ requireOrigin: true })]
    const { ws } = await open(byDefault.wsUrl, { cookie: await loginAt(byDefault.url) })
    expect(ws.readyState).toBe(ws.OPEN)
    expect((await refused(required.wsUrl, { cookie: await loginAt(required.url) })).status).toBe(403)
  })
})
