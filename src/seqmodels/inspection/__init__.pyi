"""The public names of the package and where they are defined; ``__init__.py`` imports each when it is first used."""

from seqmodels.inspection.callback import GradientFlow as GradientFlow
from seqmodels.inspection.finding import Finding as Finding
from seqmodels.inspection.flow import LayerFlow as LayerFlow
from seqmodels.inspection.flow import gradient_flow as gradient_flow
from seqmodels.inspection.flow import gradient_norms as gradient_norms
from seqmodels.inspection.jacobians import JacobianNorms as JacobianNorms
from seqmodels.inspection.jacobians import jacobian_norms as jacobian_norms
from seqmodels.inspection.jacobians import lyapunov_exponent as lyapunov_exponent
from seqmodels.inspection.memory import half_life as half_life
from seqmodels.inspection.memory import memory_curve as memory_curve
from seqmodels.inspection.recording import Recording as Recording
from seqmodels.inspection.recording import recorded as recorded
from seqmodels.inspection.trajectories import Trajectory as Trajectory
from seqmodels.inspection.trajectories import trajectory as trajectory

__all__: list[str]
