import { proxyUpgrades } from './http-proxy-app.js'
import { testSharedServer, type Join } from './shared-server.js'
import { startUpstream } from './upstream.js'

const joinProxy: Join = async ({ server }) => {
  const upstream = await startUpstream()
  proxyUpgrades(server, upstream.target)
  return upstream
}

testSharedServer('http-proxy', joinProxy)
