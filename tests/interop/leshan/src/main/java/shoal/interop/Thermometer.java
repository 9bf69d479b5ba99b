package shoal.interop;

import java.util.List;
import org.eclipse.leshan.client.resource.BaseInstanceEnabler;
import org.eclipse.leshan.client.servers.LwM2mServer;
import org.eclipse.leshan.core.model.ObjectModel;
import org.eclipse.leshan.core.model.ResourceModel;
import org.eclipse.leshan.core.model.ResourceModel.Operations;
import org.eclipse.leshan.core.model.ResourceModel.Type;
import org.eclipse.leshan.core.request.argument.Arguments;
import org.eclipse.leshan.core.response.ExecuteResponse;
import org.eclipse.leshan.core.response.ReadResponse;

/** IPSO Temperature (3303): a value, its unit, its maximum, and the execute that resets it. */
public final class Thermometer extends BaseInstanceEnabler {
    static final int OBJECT = 3303;
    private static final int MAXIMUM = 5602;
    private static final int RESET = 5605;
    private static final int VALUE = 5700;
    private static final int UNIT = 5701;

    /** What the OMA registry says of these resources; the client library brings definitions of the core objects only. */
    static final ObjectModel MODEL =
            new ObjectModel(
                    OBJECT,
                    "Temperature",
                    "IPSO temperature sensor",
                    "1.1",
                    true,
                    false,
                    new ResourceModel(MAXIMUM, "Max Measured Value", Operations.R, false, false, Type.FLOAT, "", "", ""),
                    new ResourceModel(RESET, "Reset Min and Max Measured Values", Operations.E, false, false, Type.NONE, "", "", ""),
                    new ResourceModel(VALUE, "Sensor Value", Operations.R, false, true, Type.FLOAT, "", "", ""),
                    new ResourceModel(UNIT, "Sensor Units", Operations.R, false, false, Type.STRING, "", "", ""));

    private double value = 20.0;
    private double maximum = 20.0;

    synchronized void show(double shown) {
        value = shown;
        maximum = Math.max(maximum, shown);
        fireResourceChange(VALUE);
    }

    @Override
    public synchronized ReadResponse read(LwM2mServer server, int resource) {
        return switch (resource) {
            case VALUE -> ReadResponse.success(resource, value);
            case MAXIMUM -> ReadResponse.success(resource, maximum);
            case UNIT -> ReadResponse.success(resource, "Cel");
            default -> super.read(server, resource);
        };
    }

    @Override
    public synchronized ExecuteResponse execute(LwM2mServer server, int resource, Arguments arguments) {
        if (resource != RESET) {
            return super.execute(server, resource, arguments);
        }
        maximum = value;
        Narrator.say("executed /" + OBJECT + "/0/" + resource);
        return ExecuteResponse.success();
    }

    @Override
    public List<Integer> getAvailableResourceIds(ObjectModel model) {
        return List.of(MAXIMUM, RESET, VALUE, UNIT);
    }
}
