"""Curvature of the surrogate: Hessian and Gauss-Newton matrix of what autograd differentiates.

The true loss of a spiking network is piecewise constant through its spikes, and its Hessian is
0 almost everywhere. These numbers belong to the surrogate gradient: the Jacobian of the
gradient field that training follows, in which the surrogate's own derivative appears, and which
need not be symmetric: the Hessian's eigenvalue and trace are of its symmetric part.
Needs curvlinops, `pip install tempreg[curvature]`.
"""

from __future__ import annotations
