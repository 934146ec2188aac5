import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { open } from '../../support/client.js'
import { compiled, forked } from '../../support/forked.js'

it('a restart by SIGUSR2 closes sockets with 1001 before the process ends by that signal', async () => {
  const folder = compiled('test/consumers/nodemon')
  const { process, first } = await forked(join(folder, 'test/consumers/nodemon/app.js'), {})
  const { address, cookie } = first as { address: AddressInfo; cookie: string }
  const { closed } = await open(`ws://127.0.0.1:${address.port}/chat`, { cookie })
  const exited = once(process, 'exit')
  process.kill('SIGUSR2')
  expect((await closed).code).toBe(1001)
  expect(await exited).toEqual([null, 'SIGUSR2'])
})
