"""The public names of the package and where they are defined; ``__init__.py`` imports each when it is first used."""

from seqmodels.inspection.attribution.contributions import Contributions as Contributions
from seqmodels.inspection.attribution.contributions import integrated_gradients as integrated_gradients
from seqmodels.inspection.attribution.contributions import occlusion as occlusion
from seqmodels.inspection.attribution.decisions import Choice as Choice
from seqmodels.inspection.attribution.decisions import Decision as Decision
from seqmodels.inspection.attribution.decisions import attention_weights as attention_weights
from seqmodels.inspection.attribution.decisions import decision as decision
from seqmodels.inspection.attribution.marking import marked_series as marked_series
from seqmodels.inspection.attribution.marking import marked_text as marked_text
from seqmodels.inspection.callback import GradientFlow as GradientFlow
from seqmodels.inspection.charts import heat_map as heat_map
from seqmodels.inspection.finding import Finding as Finding
from seqmodels.inspection.flow import LayerFlow as LayerFlow
from seqmodels.inspection.flow import gradient_flow as gradient_flow
from seqmodels.inspection.flow import gradient_norms as gradient_norms
from seqmodels.inspection.gates.activations import GateValues as GateValues
from seqmodels.inspection.gates.activations import gate_values as gate_values
from seqmodels.inspection.gates.traces import LayerTrace as LayerTrace
from seqmodels.inspection.gates.traces import traces as traces
from seqmodels.inspection.gates.units import Follower as Follower
from seqmodels.inspection.gates.units import Saturation as Saturation
from seqmodels.inspection.gates.units import followers as followers
from seqmodels.inspection.gates.units import saturation as saturation
from seqmodels.inspection.gates.units import text_properties as text_properties
from seqmodels.inspection.jacobians import JacobianNorms as JacobianNorms
from seqmodels.inspection.jacobians import jacobian_norms as jacobian_norms
from seqmodels.inspection.jacobians import lyapunov_exponent as lyapunov_exponent
from seqmodels.inspection.memory import half_life as half_life
from seqmodels.inspection.memory import memory_curve as memory_curve
from seqmodels.inspection.production.calibration import Reliability as Reliability
from seqmodels.inspection.production.calibration import fit_temperature as fit_temperature
from seqmodels.inspection.production.calibration import reliability as reliability
from seqmodels.inspection.production.drift import Shift as Shift
from seqmodels.inspection.production.drift import shifts as shifts
from seqmodels.inspection.production.slices import Slice as Slice
from seqmodels.inspection.production.slices import metrics_by as metrics_by
from seqmodels.inspection.production.slices import slices as slices
from seqmodels.inspection.recording import Recording as Recording
from seqmodels.inspection.recording import recorded as recorded
from seqmodels.inspection.trajectories import Trajectory as Trajectory
from seqmodels.inspection.trajectories import trajectory as trajectory

__all__: list[str]
