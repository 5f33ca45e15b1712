/** Portainer: a page for the swarm. */
import type { Feature } from '../../cluster/feature.ts'
import { Secret } from '../../secret.ts'
import { lettersFrom } from '../../secrets/letters.ts'
import type { NodeKeys } from '../../secrets/node-keys.ts'

const PASSWORD = 'portainer-password'

/** First password of the admin: 24 letters and digits that nobody takes for another. */
export const portainerPassword = (keys: NodeKeys): Secret =>
  new Secret(
    lettersFrom(
      (length) => keys.derive(PASSWORD, '', length),
      'ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz23456789',
      24,
    ),
  )

export const portainer: Feature = {
  name: 'portainer',
  needs: ['docker'],
  personal: true,
  purposes: { [PASSWORD]: 'cluster: first password of the admin' },
  artifacts: [
    {
      name: 'portainer-password',
      meaning: "secret: first password of Portainer's user admin",
      headOnly: true,
      // Portainer takes the file as it is: a line end would belong to the password.
      of: (_, keys) => portainerPassword(keys),
    },
  ],
}
