//! A chart that is hard to compare with what the API server makes of it.

use sandbox::charts::Chart;

/// A chart with objects of many kinds, written as charts are written that are hard to compare: fields with defaults left
/// out, quantities in odd units, texts that the server turns into others, nulls, lists of objects.
pub fn several() -> Chart {
    let pod = "{containers: [{name: web, image: web, command: null, env: [{name: A, value: \"1\"}, {name: B, value: b}],\n\
        resources: {limits: {cpu: 1000m, memory: 0.5Gi}, requests: {cpu: 0.5}}, ports: [{containerPort: 80}, {containerPort: 80, protocol: UDP}],\n\
        readinessProbe: {httpGet: {path: /, port: 80}}, volumeMounts: [{name: c, mountPath: /c}]}],\n\
        volumes: [{name: c, configMap: {name: {{ .Release.Name }}}}], nodeSelector: {}, tolerations: []}";
    let workload = format!(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: {{{{ .Release.Name }}}}, creationTimestamp: null, labels: {{app: x}}, annotations: }}\n\
         spec:\n  replicas: {{{{ .Values.replicas }}}}\n  selector: {{matchLabels: {{app: x}}}}\n  strategy: {{}}\n\
         \x20 template: {{metadata: {{labels: {{app: x}}, creationTimestamp: null}}, spec: {pod}}}\nstatus: {{}}\n"
    );
    let rest = "apiVersion: v1\nkind: Service\nmetadata: {name: {{ .Release.Name }}}\n\
        spec: {selector: {app: x}, ports: [{name: a, port: 80, targetPort: web}, {name: b, port: 81}]}\n---\n\
        apiVersion: v1\nkind: ConfigMap\nmetadata: {name: {{ .Release.Name }}, annotations: {note: \"1\"}}\n\
        data: {message: {{ .Values.message }}, empty: \"\"}\nbinaryData: {x: aGVsbG8=}\n---\n\
        apiVersion: v1\nkind: Secret\nmetadata: {name: {{ .Release.Name }}}\ntype: Opaque\n\
        stringData: {password: hunter2}\ndata: {other: aGVsbG8=}\n---\n\
        apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: ServiceAccount, metadata: {name: {{ .Release.Name }}}}\n---\n\
        apiVersion: rbac.authorization.k8s.io/v1\nkind: Role\nmetadata: {name: {{ .Release.Name }}}\n\
        rules: [{apiGroups: [\"\"], resources: [pods], verbs: [get, list]}]\n---\n\
        apiVersion: rbac.authorization.k8s.io/v1\nkind: RoleBinding\nmetadata: {name: {{ .Release.Name }}}\n\
        roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: {{ .Release.Name }}}\n\
        subjects: [{kind: ServiceAccount, name: {{ .Release.Name }}}]\n---\n\
        apiVersion: autoscaling/v2\nkind: HorizontalPodAutoscaler\nmetadata: {name: {{ .Release.Name }}}\n\
        spec: {maxReplicas: 3, scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: none},\n\
        metrics: [{type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 50}}}]}\n---\n\
        apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {name: {{ .Release.Name }}}\n\
        spec: {rules: [{host: a.example, http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: x, port: {number: 80}}}}]}}]}\n---\n\
        apiVersion: batch/v1\nkind: CronJob\nmetadata: {name: {{ .Release.Name }}}\n\
        spec: {schedule: \"0 0 1 1 *\", jobTemplate: {spec: {template: {spec: {restartPolicy: Never, containers: [{name: a, image: web}]}}}}}\n---\n\
        apiVersion: policy/v1\nkind: PodDisruptionBudget\nmetadata: {name: {{ .Release.Name }}}\n\
        spec: {minAvailable: 1, selector: {matchLabels: {app: x}}}\n";
    Chart::new("several", "1.0.0")
        .values("replicas: 0\nmessage: hello\n")
        .file("templates/workload.yaml", workload)
        .file("templates/rest.yaml", rest)
}
