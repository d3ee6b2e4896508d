"""Deploys: told by CI or seen in the cluster, said in the service's channel, and followed by the service's checks."""
